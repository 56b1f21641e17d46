// What the console does in a browser besides htmx. Every screen works without it, but nothing then moves by itself.
"use strict";
(() => {
  const cookie = (name, value) => { document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; secure; samesite=strict`; };

  // The reader's zone, in which the manager writes all times.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`tz=${encodeURIComponent(zone)}`)) cookie("tz", zone);

  // On a narrow screen the menu begins closed.
  const menu = document.querySelector(".menu");
  const narrow = matchMedia("(max-width: 56rem)");
  const fit = () => { if (menu) menu.open = !narrow.matches; };
  narrow.addEventListener("change", fit);
  fit();

  document.addEventListener("click", (event) => {
    const at = event.target.closest?.("[data-open], [data-close], [data-copy], [data-theme-switch], [data-print]");
    if (!at) return;
    if (at.dataset.open) document.getElementById(at.dataset.open)?.showModal();
    if ("close" in at.dataset) at.closest("dialog")?.close();
    if (at.dataset.copy) copy(at);
    if ("print" in at.dataset) window.print();
    if ("themeSwitch" in at.dataset) {
      const dark = document.documentElement.dataset.theme
        ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      cookie("theme", document.documentElement.dataset.theme);
    }
  });

  // Copies the text of what data-copy names, and says so on the button.
  const copy = async (button) => {
    const source = document.querySelector(button.dataset.copy);
    const text = source.value ?? source.textContent;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: copy by key";
    }
    setTimeout(() => { button.textContent = before; }, 2500);
  };

  // Bulk actions: one box takes all of the page, and what needs a choice shows once there is one.
  const chosen = () => {
    for (const bulk of document.querySelectorAll("[data-bulk]")) {
      const count = document.querySelectorAll(`input[name="${bulk.dataset.bulk}"]:checked`).length;
      bulk.hidden = count === 0;
      for (const said of bulk.querySelectorAll("[data-count]")) said.textContent = String(count);
    }
  };
  document.addEventListener("change", (event) => {
    const all = event.target.dataset?.all;
    if (all) for (const box of document.querySelectorAll(`input[name="${all}"]`)) box.checked = event.target.checked;
    chosen();
  });
  document.addEventListener("htmx:afterSettle", chosen);
  chosen();

  // A refusal stands at the top of the screen: bring it into sight, and say it to those who listen.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "problem") {
      event.detail.target.closest("dialog") ?? document.querySelectorAll("dialog[open]").forEach((one) => one.close());
      event.detail.target.scrollIntoView({ block: "nearest" });
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig?.verb !== "get") document.getElementById("problem")?.replaceChildren();
  });
  // What a screen fetches by itself keeps no session alive: only a person does.
  document.addEventListener("htmx:configRequest", (event) => {
    if (["live", "hx:poll:trigger"].includes(event.detail.triggeringEvent?.type)) event.detail.headers["plimsoll-unattended"] = "1";
  });
  // What a filter leaves empty does not stand in the address.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get" || !event.detail.elt.matches("form.filter")) return;
    for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
  });
  document.addEventListener("htmx:sendError", () => lost(true));

  // A file is sent as it is, with progress: <form data-upload="/api/…">. What has data-header goes as a header, a file in base64.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset?.upload) return;
    event.preventDefault();
    const file = form.querySelector('input[type="file"]:not([data-header])').files[0];
    if (!file) return;
    const bar = form.querySelector("progress");
    const said = form.querySelector("[data-said]");
    const button = form.querySelector("button");
    said.hidden = true;
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.upload);
    for (const field of form.querySelectorAll("[data-header]")) {
      const value = field.type === "file" ? (field.files[0] ? btoa(await field.files[0].text()) : "") : field.value.trim();
      if (value) request.setRequestHeader(field.dataset.header, value);
    }
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (step) => { bar.hidden = false; bar.max = step.total; bar.value = step.loaded; };
    request.onloadend = () => {
      if (request.status >= 200 && request.status < 300) { location.assign(form.dataset.then); return; }
      let message = "the manager did not answer; nothing was kept";
      try { message = JSON.parse(request.responseText).message; } catch { /* not ours */ }
      said.textContent = message;
      said.hidden = false;
      bar.hidden = true;
      button.disabled = false;
    };
    button.disabled = true;
    request.send(file);
  });

  // Saves the text of what data-save names as a file: <button data-save="#script" data-name="deploy.sh">.
  document.addEventListener("click", (event) => {
    const at = event.target.closest?.("[data-save]");
    if (!at) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([document.querySelector(at.dataset.save).textContent], { type: "text/plain" }));
    link.download = at.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  // Keys.
  let going = false;
  const places = { d: "/", c: "/computers", t: "/changes", e: "/administration/events" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
    if (going && places[event.key]) location.assign(places[event.key]);
    going = event.key === "g";
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "?") document.getElementById("keys")?.showModal();
  });

  // Live: whatever happens on the manager raises "live" on the body, and parts of the screen fetch themselves again.
  const lost = (yes) => { const said = document.getElementById("lost"); if (said) said.hidden = !yes; };
  if (document.getElementById("lost")) {
    let stream;
    const follow = () => {
      stream = new EventSource("/live");
      stream.onopen = () => lost(false);
      stream.addEventListener("live", () => document.body.dispatchEvent(new CustomEvent("live")));
      stream.addEventListener("ended", () => { stream.close(); location.reload(); });
      stream.onerror = () => {
        lost(true);
        if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
      };
    };
    follow();
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  }
})();
