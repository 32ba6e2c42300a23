// What a wallet puts into the pages inside it, and what its SDKs do for an app: here they lead to the sandbox's phone,
// which comes back to this page's address afterwards.
(() => {
  "use strict";

  const script = document.currentScript;
  const sandbox = script ? new URL(script.src).origin : window.pitayaSandbox;
  const agent = navigator.userAgent;
  const inside = script ? script.dataset.wallet : agent.includes("MicroMessenger/") ? "wechat" : "alipay";
  const back = () => (document.getElementById("order") || { dataset: {} }).dataset.after || location.href;

  function phone(path, fields) {
    const way = new URL(path, sandbox);
    for (const [name, value] of Object.entries(fields)) way.searchParams.set(name, value);
    way.searchParams.set("return", back());
    way.searchParams.set("lang", document.documentElement.lang.startsWith("en") ? "en" : "zh");
    location.assign(way);
  }

  // https://pay.weixin.qq.com/doc/v3/merchant/4012791857 and its like for mini programs and apps
  const wechat = (fields) => phone("/phone/wechat/pay", fields);
  if (inside === "wechat") {
    window.WeixinJSBridge = {
      invoke(name, fields, done) {
        if (name === "getBrandWCPayRequest") wechat(fields);
        else done({ err_msg: `${name}:function_not_exist` });
      },
    };
    document.dispatchEvent(new Event("WeixinJSBridgeReady"));
  }
  if (inside === "wechat" || inside === "none") {
    window.wx = {
      async login({ appid, success, fail }) {
        const asked = new URL("/phone/wechat/login", sandbox);
        asked.searchParams.set("appid", appid);
        const answer = await fetch(asked, { method: "POST" });
        if (answer.ok) success(await answer.json());
        else fail({ errMsg: "login:fail" });
      },
      requestPayment: wechat,
    };
    window.WXApi = { sendReq: wechat };
  }
  // https://opendocs.alipay.com/open/repo-0038v7 and the SDK of apps
  const alipay = (code) => phone("/phone", { code });
  if (inside === "alipay") {
    window.AlipayJSBridge = {
      call(name, fields, done) {
        if (name === "tradePay") alipay(fields.tradeNO);
        else done({ error: 1, errorMessage: name });
      },
    };
    document.dispatchEvent(new Event("AlipayJSBridgeReady"));
  }
  if (inside === "none") window.AlipaySDK = { pay: alipay };
})();
