// The shop's pages, alive: they follow their order, call the wallet, and put a payer's code into the till.
(() => {
  "use strict";

  const order = document.getElementById("order");

  async function look() {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(order.dataset.watch, { cache: "no-store" });
      const { status, seen } = await answer.json();
      if (!answer.ok || (status === order.dataset.status && String(seen) === order.dataset.seen)) return;
      if (order.dataset.after && status === "paid") location.assign(order.dataset.after);
      else if (order.dataset.after) order.dataset.seen = seen;
      else if (!typing()) location.reload();
    } catch {
      // The shop is away for a moment; the next turn asks again.
    }
  }

  // Whoever has begun to fill in a form is not disturbed.
  function typing() {
    return [...document.querySelectorAll("input:not([type=hidden])")].some((each) => each.value !== each.defaultValue);
  }

  if (order) setInterval(look, 500);

  const pay = {
    alipay_app: (value) => window.AlipaySDK.pay(value),
    wechat_app: (_, fields) => window.WXApi.sendReq(fields),
    alipay_jsapi: (value) => window.AlipayJSBridge.call("tradePay", { tradeNO: value }, () => {}),
    wechat_jsapi: (_, fields) => window.WeixinJSBridge.invoke("getBrandWCPayRequest", fields, () => {}),
    wechat_miniprogram: (_, fields) => window.wx.requestPayment(fields),
  };

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[type=button]") : null;
    if (!button) return;
    const { method, value, fields, login, back, show } = button.dataset;
    if (method) pay[method](value, JSON.parse(fields));
    if (login) {
      window.wx.login({
        appid: login,
        success: ({ code }) => location.assign(`${back}&code=${encodeURIComponent(code)}`),
        fail: ({ errMsg }) => (button.textContent = errMsg),
      });
    }
    if (show) {
      const wallet = document.getElementById("wallet").value;
      const page = await (await fetch(`/phone/${show}/code?payer=${wallet}`)).text();
      const shown = new DOMParser().parseFromString(page, "text/html").querySelector("[data-auth-code]");
      const field = document.getElementById("auth_code");
      field.value = shown.dataset.authCode;
      field.form.requestSubmit();
    }
  });
})();
