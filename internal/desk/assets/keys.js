// The keyboard of the desk. Everything here can be done without it.
"use strict";
(() => {
  const typing = (e) => e.target.closest("input, textarea, select, [contenteditable]") !== null;
  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  const link = (row) => row && row.querySelector("th a, a");
  const help = () => document.getElementById("keys");

  function move(step) {
    const all = rows();
    if (all.length === 0) return false;
    const at = all.findIndex((r) => r.contains(document.activeElement));
    const to = link(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))]);
    if (to) {
      to.focus();
      to.closest("tr").scrollIntoView({ block: "nearest" });
    }
    return true;
  }

  function follow(selector) {
    const a = document.querySelector(selector);
    if (a) a.click();
    return a !== null;
  }

  const keys = {
    j: () => move(1) || follow("a[rel=next]"),
    k: () => move(-1) || follow("a[rel=prev]"),
    u: () => follow("a[data-key=u]"),
    n: () => focusOn("[data-key=n]"),
    "/": () => focusOn("#find"),
    "?": () => { if (help()) help().showModal(); return true; },
  };

  function focusOn(selector) {
    const field = document.querySelector(selector);
    if (field) field.focus();
    return field !== null;
  }

  // Choosing with a number marks a radio button and opens what belongs to it.
  function choose(n) {
    const one = document.querySelector(`[data-choices] input[type=radio][data-key="${n}"]`);
    if (!one) return false;
    one.checked = true;
    one.focus();
    one.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      const form = e.target.closest("form[method=post]");
      if (form) {
        e.preventDefault();
        form.requestSubmit();
      }
      return;
    }
    if (e.key === "Escape" && typing(e)) {
      e.target.blur();
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (typing(e) && e.target.type !== "radio") return;
    const done = /^[1-9]$/.test(e.key) ? choose(Number(e.key)) : keys[e.key] && keys[e.key]();
    if (done) e.preventDefault();
  });

  document.addEventListener("click", (e) => {
    if (e.target.closest(".keys-open")) help().showModal();
  });

  // A form that is under way is not sent twice.
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) {
      e.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    }
  });

  for (const b of document.querySelectorAll(".keys-open")) b.hidden = false;
})();
