// The official Node.js SDK at the sandbox's Alipay, in key mode and in certificate mode: every API that Pitaya calls.
// Run by hand, since it needs the SDK from npm:
//   npm install alipay-sdk@4.14.0 && pitaya sandbox & node tests/clients/alipay.mjs http://127.0.0.1:8400
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { AlipaySdk } from "alipay-sdk";

const base = process.argv[2];
const pem = (key, type) => key.export({ type, format: "pem" });
const number = () => "N" + randomBytes(12).toString("hex");
const heard = [];
const listener = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    heard.push(Object.fromEntries(new URLSearchParams(body)));
    response.end("success");
  });
});
await new Promise((ready) => listener.listen(0, "127.0.0.1", ready));
const notifyUrl = `http://127.0.0.1:${listener.address().port}/notices`;

async function control(path, body, status = 200) {
  const answer = await fetch(`${base}/control/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, status, await answer.clone().text());
  return answer.json();
}

async function until(what) {
  for (let turn = 0; turn < 250; turn++) {
    const found = heard.find(what);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error("no such notice");
}

async function setUp(appId, certificates) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const told = await control("alipay/apps", {
    app_id: appId, seller_id: "2088000000000001", public_key: pem(publicKey, "spki"), certificates,
  });
  const trust = certificates
    ? {
        appCertContent: told.app_certificate,
        alipayPublicCertContent: told.alipay_certificate,
        alipayRootCertContent: told.alipay_root_certificate,
      }
    : { alipayPublicKey: told.alipay_public_key };
  return new AlipaySdk({
    appId, privateKey: pem(privateKey, "pkcs1"), gateway: `${base}/gateway.do`, endpoint: base, ...trust,
  });
}

for (const certificates of [false, true]) {
  const sdk = await setUp(certificates ? "2021000000000012" : "2021000000000011", certificates);
  const ask = (method, bizContent, more = {}) => sdk.exec(method, { bizContent, ...more }, { validateSign: true });
  const order = (no, more = {}) => ({ outTradeNo: no, totalAmount: "19.90", subject: "火龙果 {两斤}", ...more });

  // A code, a payment, its notice, partial refunds and theirs.
  const qr = number();
  const code = await ask("alipay.trade.precreate", order(qr), { notifyUrl });
  assert.match(code.qrCode, /^https:\/\/qr\.alipay\.com\/bax/);
  assert.equal((await ask("alipay.trade.query", { outTradeNo: qr })).subCode, "ACQ.TRADE_NOT_EXIST");
  await control("pay", { channel: "alipay", out_trade_no: qr });
  assert.equal((await ask("alipay.trade.query", { outTradeNo: qr })).tradeStatus, "TRADE_SUCCESS");
  const paid = await until((one) => one.out_trade_no === qr);
  assert.ok(sdk.checkNotifySignV2(paid));
  assert.ok(!sdk.checkNotifySignV2({ ...paid, total_amount: "0.01" }));
  const refund = (no, amount) => ask("alipay.trade.refund", { outTradeNo: qr, refundAmount: amount, outRequestNo: no });
  const first = await refund("R1", "9.90");
  assert.deepEqual([first.code, first.fundChange, first.refundFee], ["10000", "Y", "9.90"]);
  assert.deepEqual([(await refund("R1", "9.90")).fundChange], ["N"]);
  assert.equal((await refund("R1", "1.00")).subCode, "ACQ.DISCORDANT_REPEAT_REQUEST");
  assert.equal((await refund("R2", "10.01")).subCode, "ACQ.REASON_TRADE_REFUND_FEE_ERR");
  const second = await refund("R3", "10.00");
  assert.deepEqual([second.fundChange, second.refundFee], ["Y", "19.90"]);
  const found = await ask("alipay.trade.fastpay.refund.query", {
    outTradeNo: qr, outRequestNo: "R3", queryOptions: ["gmt_refund_pay"],
  });
  assert.deepEqual([found.refundStatus, found.refundAmount], ["REFUND_SUCCESS", "10.00"]);
  assert.ok(found.gmtRefundPay);
  const none = await ask("alipay.trade.fastpay.refund.query", { outTradeNo: qr, outRequestNo: "R9" });
  assert.deepEqual([none.code, none.refundStatus], ["10000", undefined]);
  const closed = await until((one) => one.out_biz_no === "R3");
  assert.deepEqual([closed.trade_status, closed.refund_fee], ["TRADE_CLOSED", "19.90"]);
  assert.ok(sdk.checkNotifySignV2(closed));

  // Bar codes: at once, after a password, without money, undone.
  const pay = async (wallet, no = number()) => {
    const { code: authCode } = await control("codes", { channel: "alipay", wallet });
    return [no, await ask("alipay.trade.pay", order(no, { scene: "bar_code", authCode }), { notifyUrl })];
  };
  const [atOnce, done] = await pay("pays");
  assert.deepEqual([done.code, done.receiptAmount], ["10000", "19.90"]);
  const [asked, waiting] = await pay("asks");
  assert.equal(waiting.code, "10003");
  assert.equal((await ask("alipay.trade.query", { outTradeNo: asked })).tradeStatus, "WAIT_BUYER_PAY");
  await control("pay", { channel: "alipay", out_trade_no: asked });
  assert.equal((await ask("alipay.trade.query", { outTradeNo: asked })).tradeStatus, "TRADE_SUCCESS");
  assert.equal((await pay("poor"))[1].subCode, "ACQ.BUYER_BALANCE_NOT_ENOUGH");
  const undone = await ask("alipay.trade.cancel", { outTradeNo: atOnce });
  assert.deepEqual([undone.code, undone.retryFlag, undone.action], ["10000", "N", "refund"]);

  // A trade inside Alipay, a page, and an app.
  const created = await ask("alipay.trade.create", order(number(), {
    productCode: "JSAPI_PAY", opAppId: sdk.config.appId, buyerId: "2088102177846880",
  }));
  assert.match(created.tradeNo, /^\d{28}$/);
  for (const method of ["GET", "POST"]) {
    const page = number();
    const bizContent = order(page, { product_code: "FAST_INSTANT_TRADE_PAY", extend_params: { hb_fq_num: "3" } });
    const shown = sdk.pageExecute("alipay.trade.page.pay", method, { bizContent, notifyUrl, returnUrl: notifyUrl });
    const answer = method === "GET" ? await fetch(shown) : await submit(shown);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /data-state="login"/);
    assert.equal((await ask("alipay.trade.query", { outTradeNo: page })).subCode, "ACQ.TRADE_NOT_EXIST");
  }
  const app = number();
  const orderString = sdk.sdkExecute("alipay.trade.app.pay", { bizContent: order(app), notifyUrl });
  assert.equal((await control("alipay/app_pay", { order_string: orderString })).out_trade_no, app);

  // Who pays.
  const login = await fetch(
    `${base}/oauth2/publicAppAuthorize.htm?app_id=${sdk.config.appId}&scope=auth_base&state=s&redirect_uri=${notifyUrl}`,
    { redirect: "manual" },
  );
  const back = new URL(login.headers.get("location")).searchParams;
  const token = () => sdk.exec("alipay.system.oauth.token", { grant_type: "authorization_code", code: back.get("auth_code") }, { validateSign: true });
  assert.equal((await token()).userId, "2088102177846880");
  await assert.rejects(token, /isv.code-invalid/).catch(async () => assert.equal((await token()).subCode, "isv.code-invalid"));
  console.log(`${certificates ? "certificates" : "keys"}: every API answered as the SDK expects`);
}

function submit(form) {
  const action = /action="([^"]+)"/.exec(form)[1].replaceAll("&amp;", "&");
  const fields = [...form.matchAll(/name="([^"]+)" value="([^"]*)"/g)];
  const unescaped = (text) => text.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
  return fetch(action, { method: "POST", body: new URLSearchParams(fields.map(([, name, value]) => [name, unescaped(value)])) });
}

listener.close();
