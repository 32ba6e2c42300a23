// Another vendor's Node.js SDK at the sandbox's WeChat Pay, by its public key and by its platform certificate, as a
// merchant and as a service provider: every API that Pitaya calls. Run by hand, since it needs the SDK from npm:
//   npm install wechatpay-axios-plugin@0.9.6 && pitaya sandbox & node tests/clients/wechat.mjs http://127.0.0.1:8400
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { Aes, Formatter, Rsa, Wechatpay } from "wechatpay-axios-plugin";

const base = process.argv[2];
const SECRET = "0123456789abcdef0123456789abcdef";
const OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
const number = () => "N" + randomBytes(12).toString("hex");
const heard = [];
const listener = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    heard.push({ headers: request.headers, body });
    response.writeHead(204).end();
  });
});
await new Promise((ready) => listener.listen(0, "127.0.0.1", ready));
const notify_url = `http://127.0.0.1:${listener.address().port}/notices`;

async function control(path, body, status = 200) {
  const answer = await fetch(`${base}/control/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, status, await answer.clone().text());
  return answer.json();
}

// What a merchant does with a notice: verify the raw body, open the envelope.
async function notice(certs, what) {
  for (let turn = 0; turn < 250; turn++) {
    for (const { headers, body } of heard) {
      const [timestamp, nonce, serial, signature] = ["timestamp", "nonce", "serial", "signature"].map(
        (name) => headers[`wechatpay-${name}`],
      );
      const fits = certs[serial] && Rsa.verify(Formatter.response(timestamp, nonce, body), signature, certs[serial]);
      if (!fits) continue;
      const { event_type, resource } = JSON.parse(body);
      assert.equal(resource.algorithm, "AEAD_AES_256_GCM");
      const opened = JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, SECRET, resource.nonce, resource.associated_data));
      if (what(opened)) return { event_type, ...opened };
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error("no such notice");
}

const refused = (promise) =>
  promise.then(
    (answer) => assert.fail(`${answer.status} instead of a refusal`),
    ({ response }) => [response.status, response.data.code],
  );

async function setUp(mchid, appid, certificates) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const serial = randomBytes(20).toString("hex").toUpperCase();
  const told = await control("wechat/merchants", {
    mchid, appid, serial_no: serial, public_key: publicKey.export({ type: "spki", format: "pem" }), apiv3_key: SECRET,
    secrets: { [appid]: "0123456789abcdef0123456789abcdef" },
  });
  await control("settings", { wechat_signer: certificates ? "certificate" : "public_key", wechat_refund_gap: 0, wechat_refund_seconds: 0, wechat_bills: "now" });
  const certs = certificates
    ? { [told.platform_serial]: told.platform_certificate }
    : { [told.public_key_id]: told.public_key };
  const client = new Wechatpay({
    mchid, serial, privateKey: privateKey.export({ type: "pkcs8", format: "pem" }), certs, baseURL: `${base}/`,
  });
  return { client, certs, privateKey };
}

for (const certificates of [false, true]) {
  for (const partner of [false, true]) {
    const n = 1 + 2 * Number(certificates) + Number(partner);
    const [mchid, appid, sub_mchid] = [`190000007${n}`, `wx000000000000007${n}`, `190000008${n}`];
    const { client, certs, privateKey } = await setUp(mchid, appid, certificates);
    const pay = partner ? client.v3.pay.partner.transactions : client.v3.pay.transactions;
    const named = partner ? { sp_mchid: mchid, sub_mchid } : { mchid };
    const apps = partner ? { sp_appid: appid } : { appid };
    const of = partner ? { sub_mchid } : {};
    const order = (no, more = {}) => ({
      ...apps, ...named, description: "火龙果 {两斤}", out_trade_no: no, notify_url, amount: { total: 1990, currency: "CNY" }, ...more,
    });
    const query = async (no) => (await pay.outTradeNo.$out_trade_no$.get({ out_trade_no: no, params: named })).data;

    // A code, a payment, its notice, partial refunds and theirs.
    const qr = number();
    const { data: code } = await pay.native.post(order(qr));
    assert.match(code.code_url, /^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    assert.equal((await pay.native.post(order(qr))).data.code_url, code.code_url);
    assert.equal((await query(qr)).trade_state, "NOTPAY");
    await control("pay", { channel: "wechat", out_trade_no: qr });
    const found = await query(qr);
    assert.deepEqual([found.trade_state, found.amount.payer_total, found.trade_type], ["SUCCESS", 1990, "NATIVE"]);
    const byId = await pay.id.$transaction_id$.get({ transaction_id: found.transaction_id, params: named });
    assert.equal(byId.data.out_trade_no, qr);
    const paid = await notice(certs, (one) => one.out_trade_no === qr && one.trade_state);
    assert.deepEqual([paid.event_type, paid.transaction_id], ["TRANSACTION.SUCCESS", found.transaction_id]);
    const refunds = client.v3.refund.domestic.refunds;
    const refund = (no, amount) =>
      refunds.post({ ...of, out_trade_no: qr, out_refund_no: no, notify_url, amount: { refund: amount, total: 1990, currency: "CNY" } });
    const first = (await refund(`${qr}a`, 990)).data;
    assert.ok(["PROCESSING", "SUCCESS"].includes(first.status), first.status);
    assert.deepEqual([first.amount.refund, first.amount.settlement_refund], [990, 990]);
    assert.equal((await refund(`${qr}a`, 990)).data.refund_id, first.refund_id);
    assert.equal((await refused(refund(`${qr}b`, 1001)))[0], 400);
    await refund(`${qr}c`, 1000);
    const back = await notice(certs, (one) => one.out_refund_no === `${qr}c`);
    assert.deepEqual([back.event_type, back.refund_status], ["REFUND.SUCCESS", "SUCCESS"]);
    const asked = (await refunds.$out_refund_no$.get({ out_refund_no: `${qr}c`, params: of })).data;
    assert.deepEqual([asked.status, asked.amount.refund], ["SUCCESS", 1000]);
    const unknown = refunds.$out_refund_no$.get({ out_refund_no: "nobody", params: of });
    assert.deepEqual(await refused(unknown), [404, "RESOURCE_NOT_EXISTS"]);
    assert.equal((await query(qr)).trade_state, "REFUND");

    // Inside WeChat, in an app, from a browser: the wallet checks what we sign for it.
    const signed = (fields) => Rsa.sign(Formatter.joinedByLineFeed(...fields), privateKey);
    const [stamp, nonce] = [`${Formatter.timestamp()}`, Formatter.nonce()];
    const who = partner ? { sp_openid: OPENID } : { openid: OPENID };
    const { data: inside } = await pay.jsapi.post(order(number(), { payer: who }));
    const packed = `prepay_id=${inside.prepay_id}`;
    const jsapi = { appId: appid, timeStamp: stamp, nonceStr: nonce, package: packed, signType: "RSA" };
    jsapi.paySign = signed([appid, stamp, nonce, packed]);
    const bad = await control("wechat/invoke", { fields: { ...jsapi, nonceStr: "another" } });
    assert.equal(bad.err_msg, "get_brand_wcpay_request:fail");
    assert.equal((await control("wechat/invoke", { fields: jsapi })).err_msg, "get_brand_wcpay_request:ok");
    const { data: app } = await pay.app.post(order(number()));
    const sdk = {
      appid, partnerid: partner ? sub_mchid : mchid, prepayid: app.prepay_id, package: "Sign=WXPay", noncestr: nonce, timestamp: stamp,
      sign: signed([appid, stamp, nonce, app.prepay_id]),
    };
    assert.equal((await control("wechat/invoke", { fields: sdk })).err_msg, "get_brand_wcpay_request:ok");
    const scene_info = { payer_client_ip: "203.0.113.7", h5_info: { type: "Wap" } };
    const { data: h5 } = await pay.h5.post(order(number(), { scene_info }));
    assert.equal((await fetch(h5.h5_url)).status, 200);

    // Closed, and closed no more.
    const ended = number();
    await pay.native.post(order(ended));
    assert.equal((await pay.outTradeNo.$out_trade_no$.close.post(named, { out_trade_no: ended })).status, 204);
    assert.equal((await query(ended)).trade_state, "CLOSED");
    assert.equal((await refused(pay.native.post(order(ended))))[1], "ORDER_CLOSED");
    assert.deepEqual(await refused(query("nobody0")), [404, "ORDER_NOT_EXIST"]);

    // Bar codes: at once, after a password, without money, undone.
    const charge = async (wallet, no = number()) => {
      const { code: auth_code } = await control("codes", { channel: "wechat", wallet });
      const { notify_url: _, ...rest } = order(no);
      const scene = { store_info: { out_id: "A1111" } };
      return [no, pay.codepay.post({ ...rest, payer: { auth_code }, scene_info: scene })];
    };
    const [atOnce, done] = await charge("pays");
    assert.deepEqual([(await done).data.trade_state, (await done).data.trade_type], ["SUCCESS", "MICROPAY"]);
    const [waiting, answer] = await charge("asks");
    assert.deepEqual([(await answer).status, (await answer).data.code], [202, "USERPAYING"]);
    assert.equal((await query(waiting)).trade_state, "USERPAYING");
    await control("pay", { channel: "wechat", out_trade_no: waiting });
    assert.equal((await query(waiting)).trade_state, "SUCCESS");
    assert.deepEqual(await refused((await charge("poor"))[1]), [403, "NOT_ENOUGH"]);
    const undone = await pay.outTradeNo.$out_trade_no$.reverse.post({ ...apps, ...named }, { out_trade_no: atOnce });
    assert.ok([200, 204].includes(undone.status));
    assert.equal((await query(atOnce)).trade_state, "REVOKED");

    // Certificates and bills, plain and packed, with their digests.
    const { data: listed } = await client.v3.certificates.get();
    const { ciphertext, nonce: iv, associated_data } = listed.data[0].encrypt_certificate;
    assert.match(Aes.AesGcm.decrypt(ciphertext, SECRET, iv, associated_data), /BEGIN CERTIFICATE/);
    const bill_date = new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
    for (const tar_type of [undefined, "GZIP"]) {
      const params = { bill_date, ...(tar_type ? { tar_type } : {}) };
      const { data: bill } = await client.v3.bill.tradebill.get({ params: { ...params, bill_type: "ALL" } });
      const file = new URL(bill.download_url);
      const raw = (await client.v3.billdownload.file.get({
        params: Object.fromEntries(file.searchParams), responseType: "arraybuffer", transformResponse: [(data) => data],
      })).data;
      const plain = tar_type ? gunzipSync(raw) : Buffer.from(raw);
      assert.equal(createHash("sha1").update(plain).digest("hex"), bill.hash_value.toLowerCase());
      assert.ok(plain.toString().includes(qr));
    }

    // Who pays.
    const back_to = `${base}/connect/oauth2/authorize?appid=${appid}&redirect_uri=${notify_url}&response_type=code&scope=snsapi_base&state=s`;
    const login = new URL((await fetch(back_to, { redirect: "manual" })).headers.get("location")).searchParams;
    const exchange = `${base}/sns/oauth2/access_token?appid=${appid}&secret=0123456789abcdef0123456789abcdef&code=${login.get("code")}&grant_type=authorization_code`;
    assert.match((await (await fetch(exchange)).json()).openid, /^o[\w-]{27}$/);
    assert.equal((await (await fetch(exchange)).json()).errcode, 40163);
    console.log(`${certificates ? "certificate" : "public key"}, ${partner ? "service provider" : "merchant"}: every API answered as the SDK expects`);
  }
}

await control("settings", { wechat_signer: "public_key" });
listener.close();
