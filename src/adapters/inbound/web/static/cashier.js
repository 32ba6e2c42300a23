// The cashier's page, alive: it starts the first payment, counts down, and shows what happens to the order.
//
// The server renders everything. This script only asks for the same page again and puts its <main> in place of the
// old one, so there is one rendering, and all of it works without this script (a form, and a refresh every 5 s).
(() => {
  "use strict";

  const POLL = 2000; // milliseconds between two looks when there is no stream
  const RETRY = [1000, 2000, 4000, 8000, 16000]; // before asking again when the network or the server failed
  const SILENCE = 5000; // a stream that says nothing for so long at its start is held up by a proxy
  const RETURN = 3; // seconds until we go back to the merchant

  const address = location.pathname;
  let choosing = false; // a choice is on its way to the server
  let wish = null; // ... and the payer has changed their mind meanwhile
  let loading = false; // a newer page is on its way to us
  let outdated = false; // ... and is already known to be too old
  let latest = null; // what we heard last of the order
  let deadline = null; // of the order, on performance.now()'s clock; null when there is nothing to count
  let polling = null;
  let leaving = null;
  let over = false;

  const main = () => document.getElementById("cashier");
  const part = (name) => main().querySelector(`[data-${name}]`);

  // Repeats until it succeeds: all that we ask for is harmless to repeat.
  async function persist(act) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await act();
      } catch {
        await new Promise((done) => setTimeout(done, RETRY[Math.min(tries, RETRY.length - 1)]));
      }
    }
  }

  // ── The page ──────────────────────────────────────────────────────────────────────────────────────────────────────

  function settle() {
    const { seconds, status, autostart, final } = main().dataset;
    deadline = status === "pending" ? performance.now() + Number(seconds) * 1000 : null;
    count();
    if (final !== undefined) over = true;
    if (status === "paid") leave();
    if (autostart !== undefined) whenSeen(() => choose(main().querySelector(".methods button")));
    const login = part("identify");
    if (login !== null) whenSeen(() => once("login", () => location.assign(login.href)));
    const sdk = part("sdk");
    if (sdk !== null) whenSeen(() => once(main().dataset.attempt, () => pay(sdk)));
  }

  async function put(answer) {
    if (answer.status >= 500) throw new Error("the server cannot answer now");
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("cashier");
    if (next === null) throw new Error("this is not a cashier page");
    if (answer.redirected) history.replaceState(null, "", answer.url); // what the payer has chosen stays chosen
    const focused = main().contains(document.activeElement) ? document.activeElement.id || "cashier" : null;
    main().replaceWith(next);
    if (focused !== null) (document.getElementById(focused) || next).focus({ preventScroll: true });
    const says = part("says");
    document.getElementById("announcer").textContent = says ? says.dataset.says : "";
    settle();
  }

  async function renew() {
    outdated = true;
    if (loading || choosing) return;
    loading = true;
    while (outdated && !choosing) {
      outdated = false;
      const here = new URL(location.href);
      here.searchParams.delete("problem");
      await persist(async () => put(await fetch(here, { cache: "no-store" })));
    }
    loading = false;
  }

  async function choose(button, decided = false) {
    if (over) return;
    const form = button.form;
    const fields = new URLSearchParams(new FormData(form));
    if (button.name) fields.set(button.name, button.value);
    for (const each of main().querySelectorAll(".methods button")) {
      each.setAttribute("aria-pressed", String(each.value === fields.get("method")));
    }
    if (choosing) {
      wish = fields.get("method");
      return;
    }
    choosing = true;
    main().setAttribute("aria-busy", "true");
    await persist(async () => put(await fetch(form.action, { method: "POST", body: fields })));
    choosing = false;
    const wished = wish === null ? null : main().querySelector(`.methods button[value="${CSS.escape(wish)}"]`);
    wish = null;
    if (wished !== null && wished.getAttribute("aria-pressed") !== "true") return choose(wished);
    if (latest !== null && differs(latest)) renew();
    if (decided) goOn();
  }

  document.addEventListener("submit", (event) => {
    if (!main().contains(event.target) || event.target.matches("[data-leave]")) return;
    event.preventDefault();
    choose(event.submitter || event.target.querySelector("button"), true);
  });

  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.matches("[data-sdk]")) pay(event.target);
  });

  // ── Wallets ───────────────────────────────────────────────────────────────────────────────────────────────────────

  // The payer has decided, and the payment goes on elsewhere.
  function goOn() {
    const way = part("leave");
    if (way === null) return;
    if (way instanceof HTMLFormElement) way.submit();
    else way.click();
  }

  // What starts by itself does so once: whoever comes back, or has cancelled, decides for themselves.
  function once(what, act) {
    try {
      const name = `started ${address} ${what}`;
      if (sessionStorage.getItem(name) !== null) return;
      sessionStorage.setItem(name, "yes");
    } catch {
      return; // no storage here: a button is there
    }
    act();
  }

  // Inside a wallet its bridge takes the payment; outside of it there is none, and the button does nothing. The
  // sandbox's phone is the wallet where there is no other.
  function pay(button) {
    const { sdk, trade, fields, phone } = button.dataset;
    const name = sdk === "wechat" ? "WeixinJSBridge" : "AlipayJSBridge";
    if (phone !== undefined && window[name] === undefined) location.assign(phone);
    else if (sdk === "wechat") {
      bridge(name, () =>
        window.WeixinJSBridge.invoke("getBrandWCPayRequest", JSON.parse(fields), () => look()));
    } else {
      bridge(name, () => window.AlipayJSBridge.call("tradePay", { tradeNO: trade }, () => look()));
    }
  }

  function bridge(name, act) {
    if (window[name] !== undefined) act();
    else document.addEventListener(`${name}Ready`, act, { once: true });
  }

  // A page that nobody looks at (rendered in advance, or a tab in the background) starts no payment.
  function whenSeen(act) {
    if (document.visibilityState === "visible" && !document.prerendering) return act();
    const retry = () => whenSeen(act);
    document.addEventListener(document.prerendering ? "prerenderingchange" : "visibilitychange", retry, { once: true });
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  function count() {
    if (deadline === null) return;
    const left = Math.max(0, Math.ceil((deadline - performance.now()) / 1000));
    const clock = part("clock");
    if (clock) {
      const two = (number) => String(number).padStart(2, "0");
      const minutes = Math.floor(left / 60);
      const hours = Math.floor(minutes / 60);
      clock.textContent = (hours ? `${hours}:${two(minutes % 60)}` : two(minutes)) + `:${two(left % 60)}`;
      part("bar").value = left;
      clock.closest(".countdown").classList.toggle("ending", left <= 60);
    }
    if (left === 0) {
      deadline = null;
      renew();
    }
  }

  function leave() {
    const link = part("return");
    if (link === null || leaving !== null || returned()) return;
    const text = part("returning");
    const stay = part("stay");
    let seconds = RETURN;
    const tell = () => (text.textContent = text.dataset.returning.replace("{seconds}", seconds));
    tell();
    text.hidden = stay.hidden = false;
    leaving = setInterval(() => {
      seconds -= 1;
      tell();
      if (seconds > 0) return;
      clearInterval(leaving);
      returned(true);
      location.assign(link.href);
    }, 1000);
    stay.addEventListener("click", () => {
      clearInterval(leaving);
      returned(true);
      text.hidden = stay.hidden = true;
      link.focus();
    });
  }

  // Whoever comes back to this page, or chose to stay, is not sent away again.
  function returned(now = false) {
    try {
      if (now) sessionStorage.setItem(`returned ${address}`, "yes");
      return sessionStorage.getItem(`returned ${address}`) !== null;
    } catch {
      return false; // no storage here
    }
  }

  // ── News ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  // Whether news says something else than the page, and is not the older of the two.
  function differs(news) {
    const { at, status, attempt } = main().dataset;
    return news.at >= Number(at) && (news.status !== status || (news.attempt || "") !== attempt);
  }

  function hear(news) {
    if (over) return;
    latest = news;
    if (deadline !== null) deadline = performance.now() + news.expires_in_seconds * 1000;
    if (news.final) {
      stop();
      renew();
    } else if (differs(news)) renew();
  }

  let source = null;
  let silence = null;

  function listen() {
    source = new EventSource(`${address}/events`);
    silence = setTimeout(poll, SILENCE);
    source.addEventListener("status", (event) => {
      clearTimeout(silence);
      clearTimeout(polling);
      polling = null;
      hear(JSON.parse(event.data));
    });
    source.addEventListener("error", poll); // it tries again by itself, unless it was refused; we look meanwhile
  }

  async function poll() {
    if (polling !== null || over) return;
    polling = setTimeout(() => {
      polling = null;
      poll();
    }, POLL);
    await look();
  }

  async function look() {
    try {
      const answer = await fetch(`${address}/status`, { cache: "no-store" });
      if (answer.ok) hear(await answer.json());
      if (answer.status === 404) stop();
    } catch {
      // the network is away: the next look may find it back
    }
  }

  function stop() {
    clearTimeout(silence);
    clearTimeout(polling);
    polling = null;
    over = true;
    if (source !== null) source.close();
  }

  // A phone freezes pages in the background, and the payer comes back from the wallet: look at once.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !over) look();
  });

  settle();
  setInterval(count, 500);
  if (!over) listen();
})();
