"""What the tables of people, static codes, circuits and statements refuse, and a good row of each to be spoilt."""

from typing import Any

GOOD_ROWS = r"""
INSERT INTO person (id, realm, login, name, roles, password_hash, created_at, recovery, status, revision,
    totp_used_step) VALUES ('opr_1', 'platform', 'mina', 'Mina', '[]', '', '2026-11-22T04:00:00Z', '[]', 'active',
    1, 0);
INSERT INTO session (id, user_id, digest, created_at, seen_at, expires_at) VALUES ('ses_1', 'opr_1', '\x01',
    '2026-11-22T04:00:00Z', '2026-11-22T04:00:00Z', '2026-11-22T04:00:00Z');
INSERT INTO service_token (id, name, digest, last4, permissions, created_by, created_at, expires_at) VALUES
    ('svt_1', 't', '\x01', 'abcd', '[]', 'opr_1', '2026-11-22T04:00:00Z', '2026-11-22T04:00:00Z');
INSERT INTO custom_role (realm, name, meaning, permissions, created_at, revision) VALUES ('platform', 'r', 'm',
    '[]', '2026-11-22T04:00:00Z', 1);
INSERT INTO proposal (id, action, payload, summary, permission, made_by, made_by_name, maker, created_at,
    expires_at, status, result, revision) VALUES ('prp_1', 'a', '{}', 's', 'p', 'opr_1', 'Mina', 'opr_1',
    '2026-11-22T04:00:00Z', '2026-11-22T04:00:00Z', 'proposed', '{}', 1);
INSERT INTO audit_record (id, at, actor_kind, actor_id, actor_name, actor_roles, action, object_id, before, after)
    VALUES ('aud_1', '2026-11-22T04:00:00Z', 'system', 'system', 'system', '[]', 'a.b', 'x', '{}', '{}');
INSERT INTO audit_link (position, record_id, digest) VALUES (1, 'aud_1', '\x01');
INSERT INTO ledger_closing (day, cut, transfers, digest, closed_at) VALUES ('2026-11-20', '3', 1, '\x01',
    '2026-11-22T04:00:00Z');
INSERT INTO account_closing (account_id, day, opening, debits, credits, closing) VALUES (1, '2026-11-20', 1, 2, 3, 2);
INSERT INTO account_entry (id, kind, mode, amount, repaid, currency, reason, made_by, merchant_id, bank_reference,
    created_at) VALUES ('ent_1', 'top_up', 'test', 5, 0, 'CNY', 'r', 'opr_1', 'mch_1', 'B-1', '2026-11-22T04:00:00Z');
INSERT INTO balance_cursor (xid, transfer_id) VALUES ('3', 1);
INSERT INTO static_code (id, merchant_id, mode, token, name, amount, most, currency, enabled, created_at) SELECT
    'cod_1', id, 'test', 't', 'n', 1, 2, 'CNY', true, '2026-11-22T04:00:00Z' FROM merchant;
INSERT INTO circuit (lane, endpoint_id, failing_since, failed_at, failures, pauses) SELECT 'l', id,
    '2026-11-22T04:00:00Z', '2026-11-22T04:00:00Z', 1, 0 FROM webhook_endpoint LIMIT 1;
INSERT INTO statement_day (account_id, day, mode, status, files, tries, differences, held, foreign_lines, matched,
    note) VALUES ('cha_1', '2026-11-20', 'test', 'matched', '{}', 0, 0, 0, 0, 0, '');
INSERT INTO statement_file (id, account_id, mode, day, kind, fund, sha256, size, provenance, received_at, lines)
    VALUES ('stf_1', 'cha_1', 'test', '2026-11-20', 'trade', '', 'aa', 1, 'channel', '2026-11-22T04:00:00Z', 1);
INSERT INTO statement_chunk (file_id, n, bytes) VALUES ('stf_1', 0, '\x01');
INSERT INTO statement_line (day_number, n, received, fee, second, key, transaction_id, method) VALUES (1, 1, 1, 0, 0,
    'k', 't', '');
INSERT INTO fund_line (file_id, account_id, day, n, fund, flow_id, transaction_id, number, movement, amount,
    balance, at, words) VALUES ('stf_1', 'cha_1', '2026-11-20', 1, 'BASIC', 'f', 't', '', 'payment', 1, 1,
    '2026-11-22T04:00:00Z', '');
INSERT INTO discrepancy (id, account_id, mode, day, key, kind, number, transaction_id, amount, found_at, status,
    note) VALUES ('dis_1', 'cha_1', 'test', '2026-11-20', 'k', 'fee', '', '', 1, '2026-11-22T04:00:00Z', 'open', '');
INSERT INTO settlement (id, merchant_id, mode, number, origin, swept, amount, fee, currency, lines, created_at,
    status, charge, polls, revision) VALUES ('stl_1', 'mch_1', 'test', 'n', 'automatic', 3, 2, 1, 'CNY', 1,
    '2026-11-22T04:00:00Z', 'created', 0, 0, 1);
INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about, channel_date)
    VALUES ('released', 'released', 1, 2, 1, 'CNY', 'test', 'pay_1', '2026-11-22');
INSERT INTO settlement_transfer (idem_key, account_id, amount, settlement_id) SELECT min(idem_key), 1, 3, 'stl_1'
    FROM transfer;
INSERT INTO release_day (account_id, day) VALUES ('cha_1', '2026-11-22');
INSERT INTO release (payment_id, order_id, merchant_id, mode, account_id, day, net, currency, released, times)
    VALUES ('pay_1', 'ord_1', 'mch_1', 'test', 'cha_1', '2026-11-22', 1, 'CNY', 1, 1);
INSERT INTO hold (id, merchant_id, subject, reason, placed_by, placed_at) VALUES ('hld_1', 'mch_1', 'ord_1', 'r',
    'opr_1', '2026-11-22T04:00:00Z');
INSERT INTO settlement_rule (merchant_id, cycle, day, minimum, fee, currency, risk_days, rail, source_owner,
    source_fund, revision) SELECT id, 'manual', 0, 1, 0, 'CNY', 1, 'manual', 'platform', '', 1 FROM merchant;
INSERT INTO merchant_statement_due (merchant_id, mode, day, next_at) VALUES ('mch_1', 'test', '2026-11-20',
    '2026-11-22T04:00:00Z');
INSERT INTO merchant_statement (merchant_id, mode, day, frozen_at, sha256, size, entries) VALUES ('mch_1', 'test',
    '2026-11-20', '2026-11-22T04:00:00Z', 'aa', 1, 0);
INSERT INTO merchant_statement_chunk (merchant_id, mode, day, n, bytes) VALUES ('mch_1', 'test', '2026-11-20', 0,
    '\x01');
INSERT INTO applyment (id, merchant_id, mode, credential_id, code, methods, created_at, sealed, status, rejections,
    polls) SELECT 'apl_1', m.id, 'test', c.id, 'n', '[]', '2026-11-22T04:00:00Z', '\x01', 'submitting', '[]', 0
    FROM merchant m, credential c LIMIT 1;
INSERT INTO receiver (id, merchant_id, mode, channel, number, account_id, kind, account, name, relation, created_at,
    status, polls, revision) VALUES ('rcv_1', 'mch_1', 'test', 'wechat', 'n', 'cha_1', 'wechat_merchant', 'a', '',
    'partner', '2026-11-22T04:00:00Z', 'active', 0, 1);
INSERT INTO share (id, order_id, payment_id, merchant_id, mode, account_id, number, transaction_id, currency, ends,
    amount, created_at, parts, merchant_share_no, status, polls, revision) SELECT 'shr_' || n, id, 'pay_1', 'mch_1',
    'test', 'cha_1', 'n' || n, 't', 'CNY', n = 1, n - 1, '2026-11-22T04:00:00Z', '[]', CASE n WHEN 2 THEN 'S' END,
    'submitted', 0, 1 FROM (SELECT id FROM payment_order LIMIT 1) o, generate_series(1, 2) n;
INSERT INTO share_return (id, share_id, refund_id, order_id, merchant_id, mode, account_id, number, share_number, kind,
    account, amount, from_fee, currency, with_refund, created_at, status, revision) SELECT 'srt_1', 'shr_2', r.id, o.id,
    'mch_1', 'test', 'cha_1', 'n', 's', 'wechat_merchant', 'a', 5, 1, 'CNY', false, '2026-11-22T04:00:00Z',
    'requested', 1 FROM (SELECT id FROM refund LIMIT 1) r, (SELECT id FROM payment_order LIMIT 1) o;
INSERT INTO invoice (id, merchant_id, mode, month, amount, currency, created_at, status, revision) VALUES ('inv_1',
    'mch_1', 'test', '2026-10-01', 5, 'CNY', '2026-11-22T04:00:00Z', 'issued', 1);
"""

APPROVED = {
    "status": "approved",
    "payee": {},
    "rail": "manual",
    "source_owner": "platform",
    "source_fund": "",
    "approved_by": "opr_1",
    "approved_at": "2026-11-22T04:00:00Z",
}

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "uq_person_login": ("person", {}),
    "ck_person_realm": ("person", {"login": "other", "realm": "moon"}),
    "ck_person_status": ("person", {"login": "other", "status": "x"}),
    "ck_person_whose": ("person", {"login": "other", "merchant_id": "mch_1"}),
    "uq_session_digest": ("session", {}),
    "fk_session_user_id": ("session", {"digest": "\\x02", "user_id": "x"}),
    "uq_service_token_digest": ("service_token", {}),
    "fk_service_token_created_by": ("service_token", {"digest": "\\x02", "created_by": "x"}),
    "ck_custom_role_realm": ("custom_role", {"realm": "moon"}),
    "ck_proposal_status": ("proposal", {"status": "x"}),
    "ck_audit_record_actor_kind": ("audit_record", {"actor_kind": "x"}),
    "uq_audit_link_record": ("audit_link", {"position": 2}),
    "fk_audit_link_record_id": ("audit_link", {"position": 2, "record_id": "x"}),
    "uq_static_code_token": ("static_code", {}),
    "ck_account_closing_adds_up": ("account_closing", {"account_id": 2, "closing": 3}),
    "uq_account_entry_bank_reference": ("account_entry", {}),
    "ck_account_entry_kind": ("account_entry", {"bank_reference": "B-2", "kind": "x"}),
    "ck_account_entry_mode": ("account_entry", {"mode": "x"}),
    "ck_account_entry_amount": ("account_entry", {"bank_reference": "B-2", "repaid": 6}),
    "ck_account_entry_whose": ("account_entry", {"bank_reference": "B-2", "merchant_id": None}),
    "ck_balance_cursor_one": ("balance_cursor", {"one": False}),
    "ck_static_code_mode": ("static_code", {"token": "other", "mode": "x"}),
    "ck_static_code_amount": ("static_code", {"token": "other", "amount": 3}),
    "ck_static_code_most": ("static_code", {"token": "other", "amount": None, "most": 0}),
    "fk_static_code_merchant_id": ("static_code", {"token": "other", "merchant_id": "x"}),
    "fk_circuit_endpoint_id": ("circuit", {"lane": "other", "endpoint_id": "x"}),
    "ck_webhook_endpoint_disabled": ("webhook_endpoint", {"url": "https://other.example", "disabled": "x"}),
    "uq_statement_day_number": ("statement_day", {"day": "2026-11-21", "number": 1}),
    "ck_statement_day_mode": ("statement_day", {"day": "2026-11-21", "mode": "x"}),
    "ck_statement_day_status": ("statement_day", {"day": "2026-11-21", "status": "x"}),
    "uq_statement_file_content": ("statement_file", {}),
    "ck_statement_file_mode": ("statement_file", {"sha256": "bb", "mode": "x"}),
    "ck_statement_file_kind": ("statement_file", {"sha256": "bb", "kind": "x"}),
    "fk_statement_chunk_file_id": ("statement_chunk", {"file_id": "x"}),
    "ck_statement_line_kind": ("statement_line", {"kind": "x"}),
    "ck_statement_line_status": ("statement_line", {"status": "x"}),
    "ck_fund_line_movement": ("fund_line", {"movement": "x"}),
    "uq_discrepancy_key": ("discrepancy", {}),
    "ck_discrepancy_kind": ("discrepancy", {"key": "other", "kind": "x"}),
    "ck_discrepancy_mode": ("discrepancy", {"key": "other", "mode": "x"}),
    "ck_discrepancy_status": ("discrepancy", {"key": "other", "status": "x"}),
    "ck_release_mode": ("release", {"payment_id": "other", "mode": "x"}),
    "ck_release_amounts": ("release", {"payment_id": "other", "released": 2}),
    "fk_release_payment_id": ("release", {"payment_id": "other"}),
    "uq_hold_subject": ("hold", {}),
    "ck_hold_lifted": ("hold", {"subject": "other", "lifted_by": "opr_1"}),
    "ck_settlement_rule_cycle": ("settlement_rule", {"merchant_id": "other", "cycle": "x"}),
    "ck_settlement_rule_rail": ("settlement_rule", {"merchant_id": "other", "rail": "x"}),
    "ck_settlement_rule_amounts": ("settlement_rule", {"merchant_id": "other", "fee": 1}),
    "fk_settlement_rule_merchant_id": ("settlement_rule", {"merchant_id": "other"}),
    "uq_settlement_number": ("settlement", {}),
    "ck_settlement_mode": ("settlement", {"number": "other", "mode": "x"}),
    "ck_settlement_origin": ("settlement", {"number": "other", "origin": "x"}),
    "ck_settlement_status": ("settlement", {"number": "other", **APPROVED, "status": "x"}),
    "ck_settlement_rail": ("settlement", {"number": "other", **APPROVED, "rail": "x"}),
    "ck_settlement_amounts": ("settlement", {"number": "other", "amount": 4}),
    "ck_settlement_approved": ("settlement", {"number": "other", "status": "paid"}),
    "fk_settlement_transfer_idem_key": ("settlement_transfer", {"idem_key": "x"}),
    "fk_settlement_transfer_settlement_id": ("settlement_transfer", {"idem_key": "released", "settlement_id": "x"}),
}
REFUSED |= {
    "ck_receiver_mode": ("receiver", {"mode": "x"}),
    "ck_receiver_channel": ("receiver", {"channel": "x"}),
    "ck_receiver_kind": ("receiver", {"kind": "x"}),
    "ck_receiver_relation": ("receiver", {"relation": "x"}),
    "ck_receiver_status": ("receiver", {"status": "x"}),
    "uq_receiver_account": ("receiver", {}),
    "ck_share_mode": ("share", {"mode": "x"}),
    "ck_share_status": ("share", {"status": "x"}),
    "ck_share_kind": ("share", {"ends": True}),
    "ck_share_finished": ("share", {"status": "finished"}),
    "uq_share_merchant_share_no": ("share", {"number": "other"}),
    "uq_share_number": ("share", {"merchant_share_no": "other"}),
    "uq_share_end": ("share", {"number": "other", "merchant_share_no": None, "ends": True, "amount": 0}),
    "fk_share_order_id": ("share", {"number": "other", "merchant_share_no": "other", "order_id": "x"}),
    "fk_share_payment_id": ("share", {"number": "other", "merchant_share_no": "other", "payment_id": "x"}),
    "ck_share_return_mode": ("share_return", {"mode": "x"}),
    "ck_share_return_kind": ("share_return", {"kind": "x"}),
    "ck_share_return_status": ("share_return", {"status": "x"}),
    "ck_share_return_amounts": ("share_return", {"from_fee": 6}),
    "ck_share_return_returned": ("share_return", {"status": "succeeded"}),
    "uq_share_return_number": ("share_return", {}),
    "fk_share_return_share_id": ("share_return", {"number": "other", "share_id": "x"}),
    "fk_share_return_refund_id": ("share_return", {"number": "other", "refund_id": "x"}),
    "fk_share_return_order_id": ("share_return", {"number": "other", "order_id": "x"}),
    "ck_invoice_mode": ("invoice", {"mode": "x"}),
    "ck_invoice_status": ("invoice", {"status": "x", "settled_at": "2026-11-22T04:00:00Z"}),
    "ck_invoice_amount": ("invoice", {"amount": 0}),
    "ck_invoice_settled": ("invoice", {"status": "paid"}),
    "uq_invoice_month": ("invoice", {}),
    "ck_merchant_payee_kind": ("merchant", {"payee_kind": "x"}),
    "ck_merchant_statement_due_mode": ("merchant_statement_due", {"mode": "x"}),
    "ck_merchant_statement_mode": ("merchant_statement", {"mode": "x"}),
    "ck_merchant_statement_amounts": ("merchant_statement", {"day": "2026-11-21", "size": 0}),
    "fk_merchant_statement_chunk_statement": ("merchant_statement_chunk", {"day": "2026-11-21"}),
    "ck_applyment_mode": ("applyment", {"mode": "x"}),
    "ck_applyment_status": ("applyment", {"status": "x"}),
    "uq_applyment_code": ("applyment", {}),
    "fk_applyment_merchant_id": ("applyment", {"code": "other", "merchant_id": "x"}),
    "fk_applyment_credential_id": ("applyment", {"code": "other", "credential_id": "x"}),
    "fk_applyment_account_id": ("applyment", {"code": "other", "account_id": "x"}),
}
TEXT_KEYS = {
    "receiver",
    "share",
    "share_return",
    "invoice",
    "applyment",
    "account_entry",
    "person",
    "session",
    "service_token",
    "proposal",
    "audit_record",
    "static_code",
    "statement_file",
    "discrepancy",
    "settlement",
    "hold",
}
NUMBERED = {"audit_record": "n"}
