// The upload page's one script: sends files by tus 1.0.0, shows how far they are, goes on after a cut or a reload.
//
// What it is not: needed for anything but that. What it keeps in the browser is the address of an unfinished upload, under a
// digest of transfer, name, size and time: no content, and no name anybody could read.
//
// A change must keep these:
// 1. Nothing of a file's name becomes markup: texts are set as text.
// 2. What is shown as received is what the gateway said it has; time left is measured over the last seconds, or not said.
// 3. Whatever time can mend is tried again for ever, with pauses that grow to half a minute; the rest is told at once.

const CHUNK = 8 * 1024 * 1024; // bytes a PATCH: what is lost with a password revoked or a process ended
const PARALLEL = 3;
const SHOWN = 100; // lines of finished files
const STALLED = 30_000; // ms without a byte moving, after which a connection counts as gone
const LONGEST_PAUSE = 30_000;
const MEMORY = "hetao-upload-";
const REMEMBERED = 7 * 24 * 3600 * 1000; // ms; unfinished uploads last three days at the gateway unless it is told otherwise
const FOR_EVER = new Set([0, 408, 423, 429, 500, 502, 503, 504, 507]);

class Refused extends Error {
  constructor(status, problem) {
    super(problem?.title ?? String(status));
    this.status = status;
    this.code = problem?.code ?? "";
    this.why = problem ? [problem.title, problem.remedy].filter(Boolean).join(" ") : String(status);
  }
}
class Paused extends Error {}

// --- texts -----------------------------------------------------------------------------------------------------------

function speaker(texts) {
  return (id, values = {}) => texts[id].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function humanSize(bytes) {
  let value = bytes;
  let unit = "B";
  for (const larger of ["kB", "MB", "GB", "TB"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return `${unit === "B" || value >= 99.95 ? Math.round(value) : value.toPrecision(3)} ${unit}`;
}

// --- what the browser keeps ------------------------------------------------------------------------------------------

const memory = {
  async key(transfer, path, file) {
    const about = new TextEncoder().encode([transfer, path, file.size, file.lastModified].join("\0"));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", about));
    return MEMORY + Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  },
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key) ?? "null");
    } catch {
      return null; // what somebody else wrote there is none of ours
    }
  },
  put(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify({ ...value, at: Date.now() }));
    } catch {
      // no room, or not allowed: then a reload begins the file again
    }
  },
  drop(key) {
    localStorage.removeItem(key);
  },
  tidy() {
    for (const key of Object.keys(localStorage).filter((each) => each.startsWith(MEMORY))) {
      if (!(Date.now() - (this.get(key)?.at ?? 0) < REMEMBERED)) this.drop(key);
    }
  },
};

// --- one request -----------------------------------------------------------------------------------------------------

function request(method, url, { headers = {}, body = null, token, onprogress = () => {}, held = () => {} }) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    let watch = 0;
    const moved = () => {
      clearTimeout(watch);
      watch = setTimeout(() => sent.abort(), STALLED);
    };
    const gone = () => {
      clearTimeout(watch);
      reject(new Refused(0, null));
    };
    sent.open(method, url);
    sent.setRequestHeader("Accept", "application/json");
    sent.setRequestHeader("X-Form-Token", token);
    for (const [name, value] of Object.entries(headers)) sent.setRequestHeader(name, value);
    sent.upload.onprogress = (event) => {
      moved();
      onprogress(event.loaded);
    };
    sent.onerror = gone;
    sent.onabort = gone;
    sent.onload = () => {
      clearTimeout(watch);
      if (sent.status >= 200 && sent.status < 300) resolve(sent);
      else reject(new Refused(sent.status, problemOf(sent)));
    };
    held(sent);
    moved();
    sent.send(body);
  });
}

function problemOf(sent) {
  try {
    return JSON.parse(sent.responseText);
  } catch {
    return null; // a HEAD has none
  }
}

// --- one file --------------------------------------------------------------------------------------------------------

class Item {
  constructor(file, path) {
    this.file = file;
    this.path = path;
    this.state = "waiting";
    this.kept = 0; // bytes the gateway said it has
    this.moving = 0; // bytes on their way beyond that
    this.why = "";
  }
}

class Sender {
  constructor(transfer, token, told) {
    this.transfer = transfer;
    this.token = token;
    this.told = told; // called with an item whenever something of it changed
    this.paused = false;
    this.over = false; // signed out
    this.listing = null;
    this.requests = new Set();
    this.woken = [];
  }

  pause() {
    this.paused = true;
    for (const each of this.requests) each.abort();
    this.wake();
  }

  wake() {
    for (const each of this.woken.splice(0)) each();
  }

  async ask(method, url, about) {
    let own = null;
    const held = (sent) => {
      own = sent;
      this.requests.add(sent);
    };
    const headers = { "Tus-Resumable": "1.0.0", ...about.headers };
    try {
      return await request(method, url, { ...about, headers, token: this.token, held });
    } catch (failure) {
      if (this.paused) throw new Paused();
      throw failure;
    } finally {
      this.requests.delete(own);
    }
  }

  say(item, state) {
    item.state = state;
    this.told(item);
  }

  async send(item) {
    let tries = 0;
    for (;;) {
      try {
        await this.through(item, () => {
          tries = 0;
        });
        return;
      } catch (failure) {
        item.moving = 0;
        if (failure instanceof Paused) return this.say(item, "paused");
        if (!(failure instanceof Refused)) {
          item.why = "unreadable";
          return this.say(item, "failed");
        }
        if (failure.status === 401) {
          this.over = true;
          return this.say(item, "paused");
        }
        if (failure.code === "offset-mismatch" && tries < 20) {
          tries += 1;
          await this.rest(tries);
          continue; // the gateway is at another byte: ask it
        }
        if (!FOR_EVER.has(failure.status)) return this.fail(item, failure);
        tries += 1;
        this.say(item, "offline");
        await this.rest(tries);
        if (this.paused) return this.say(item, "paused");
      }
    }
  }

  fail(item, failure) {
    item.why = failure.why;
    this.say(item, "failed");
  }

  rest(tries) {
    const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.woken.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async through(item, moved) {
    const key = await memory.key(this.transfer, item.path, item.file);
    const known = memory.get(key);
    this.say(item, "reading");
    if (known?.done && (await this.received())[item.path.normalize("NFC")] === item.file.size) {
      item.kept = item.file.size;
      return this.say(item, "done");
    }
    let url = known?.url ?? "";
    if (url) {
      try {
        item.kept = Number((await this.ask("HEAD", url, {})).getResponseHeader("Upload-Offset"));
      } catch (failure) {
        if (![400, 404, 410].includes(failure.status)) throw failure;
        memory.drop(key);
        url = "";
      }
    }
    if (!url) {
      item.kept = 0;
      const made = await this.ask("POST", "/files/", {
        headers: { "Upload-Length": String(item.file.size), "Upload-Metadata": this.metadata(item) },
      });
      url = new URL(made.getResponseHeader("Location"), location.href).pathname;
      memory.put(key, { url });
    }
    while (item.kept < item.file.size) {
      await this.patch(item, url);
      moved();
    }
    memory.put(key, { done: true });
    this.say(item, "done");
  }

  // What the gateway had when the page was loaded: what was removed since then loaded it again.
  async received() {
    if (!this.listing) {
      const answer = await this.ask("GET", `/transfers/${this.transfer}/files`, {});
      this.listing = JSON.parse(answer.responseText).files;
    }
    return this.listing;
  }

  async patch(item, url) {
    this.say(item, "sending");
    const piece = item.file.slice(item.kept, item.kept + CHUNK);
    await piece.slice(0, 1).arrayBuffer(); // a file that changed or went is told from a connection that did
    const answer = await this.ask("PATCH", url, {
      headers: { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(item.kept) },
      body: piece,
      onprogress: (loaded) => {
        item.moving = Math.min(loaded, piece.size);
        this.told(item);
      },
    });
    item.kept = Number(answer.getResponseHeader("Upload-Offset"));
    item.moving = 0;
    this.told(item);
  }

  metadata(item) {
    const said = { transfer: this.transfer, path: item.path, mtime: (item.file.lastModified / 1000).toFixed(3) };
    const encoded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    return Object.entries(said)
      .map(([name, value]) => `${name} ${encoded(value)}`)
      .join(",");
  }
}

// --- speed, honestly -------------------------------------------------------------------------------------------------

class Pace {
  constructor() {
    this.seen = []; // [ms, bytes] of the last 20 seconds
  }

  saw(bytes) {
    const now = performance.now();
    this.seen.push([now, bytes]);
    while (this.seen.length > 2 && this.seen[0][0] < now - 20_000) this.seen.shift();
  }

  forget() {
    this.seen = [];
  }

  bytesPerSecond() {
    if (this.seen.length < 2) return 0;
    const [[began, first], [ended, last]] = [this.seen[0], this.seen.at(-1)];
    return ended - began < 3000 || last <= first ? 0 : ((last - first) * 1000) / (ended - began);
  }
}

// --- what people see -------------------------------------------------------------------------------------------------

class Board {
  constructor(area) {
    this.area = area;
    this.say = speaker(JSON.parse(area.dataset.texts));
    this.items = new Map();
    this.queue = []; // of items, the next one last
    this.rows = new Map();
    this.finished = [];
    this.pace = new Pace();
    this.working = 0;
    this.announced = "";
    this.dirty = false;
    this.sender = new Sender(area.dataset.transfer, area.dataset.token, (item) => this.changed(item));
    for (const id of ["drop", "progress", "counts", "total", "speed", "pause", "retry", "told", "again"]) {
      this[id] = document.getElementById(id);
    }
    this.list = document.getElementById("items");
    this.form = document.getElementById("submit");
    this.listen();
    memory.tidy();
    area.hidden = false;
  }

  listen() {
    for (const id of ["choose-files", "choose-folder"]) {
      const chooser = document.getElementById(id);
      chooser.addEventListener("change", () => {
        this.add(Array.from(chooser.files, (file) => [file, file.webkitRelativePath || file.name]));
        chooser.value = "";
      });
    }
    for (const name of ["dragover", "dragleave", "drop"]) {
      this.drop.addEventListener(name, (event) => {
        event.preventDefault();
        this.drop.classList.toggle("over", name === "dragover");
        if (name === "drop") dropped(event.dataTransfer).then((found) => this.add(found));
      });
    }
    this.pause.addEventListener("click", () => this.toggle());
    this.retry.textContent = this.say("retry");
    this.retry.addEventListener("click", () => this.restart("failed"));
    this.form.addEventListener("submit", (event) => this.submit(event));
    addEventListener("online", () => this.sender.wake());
    addEventListener("beforeunload", (event) => {
      if (this.unfinished()) event.preventDefault();
    });
    setInterval(() => this.dirty && this.draw(), 250);
  }

  add(found) {
    for (const [file, path] of found.reverse()) {
      const standing = this.items.get(path);
      const same = standing?.file.size === file.size && standing.file.lastModified === file.lastModified;
      if (standing && !["failed", "paused"].includes(standing.state) && (same || standing.state !== "done")) continue;
      const item = new Item(file, path);
      this.items.set(path, item);
      this.queue.push(item);
      this.rows.get(path)?.remove();
      this.rows.delete(path);
    }
    if (found.length) this.work();
  }

  work() {
    this.progress.hidden = false;
    while (!this.sender.paused && !this.sender.over && this.working < PARALLEL) {
      const item = this.waiting();
      if (!item) break;
      item.state = "reading";
      this.working += 1;
      this.sender.send(item).finally(() => {
        this.working -= 1;
        this.work();
      });
    }
    this.draw();
  }

  waiting() {
    while (this.queue.length) {
      const item = this.queue.pop();
      if (item.state === "waiting" && this.items.get(item.path) === item) return item;
    }
    return null;
  }

  restart(state) {
    for (const item of this.items.values()) {
      if (item.state !== state) continue;
      item.state = "waiting";
      this.queue.push(item);
    }
    this.work();
  }

  toggle() {
    if (this.sender.paused) {
      this.sender.paused = false;
      this.restart("paused");
    } else {
      this.sender.pause();
      for (const item of this.items.values()) if (item.state === "waiting") item.state = "paused";
    }
    this.pace.forget();
    this.draw();
  }

  unfinished() {
    return Array.from(this.items.values()).some((item) => !["done", "failed"].includes(item.state));
  }

  changed(item) {
    this.dirty = true;
    if (!this.rows.has(item.path)) this.rows.set(item.path, this.row(item));
    if (item.state === "done") {
      this.received(item);
      this.finished.push(item.path);
      while (this.finished.length > SHOWN) this.rows.get(this.finished.shift())?.remove();
    }
  }

  // The table of what was received grows without the page being loaded again, as long as it is short.
  received(item) {
    const area = document.getElementById("received");
    const body = area.querySelector("tbody");
    const standing = Array.from(body.rows).find((row) => row.cells[0].textContent === item.path);
    if (!standing) area.dataset.files = Number(area.dataset.files) + 1;
    area.dataset.bytes = Number(area.dataset.bytes) + item.file.size - Number(standing?.dataset.size ?? 0);
    const values = { files: area.dataset.files, size: humanSize(Number(area.dataset.bytes)) };
    document.getElementById("received-count").textContent = this.say("received", values);
    if (!standing && body.rows.length < 500) {
      const row = document.getElementById("received-row").content.firstElementChild.cloneNode(true);
      row.cells[0].textContent = item.path;
      row.cells[1].textContent = humanSize(item.file.size);
      row.dataset.size = item.file.size;
      row.querySelector("[name=path]").value = item.path;
      const button = row.querySelector("button");
      button.setAttribute("aria-label", `${button.textContent} ${item.path}`);
      body.append(row);
    }
    document.getElementById("nothing").hidden = true;
    area.hidden = false;
  }

  row(item) {
    const row = document.createElement("li");
    const line = document.createElement("p");
    const [name, state, bar] = ["span", "span", "progress"].map((tag) => document.createElement(tag));
    line.className = "line";
    name.textContent = item.path;
    state.className = "small";
    bar.max = item.file.size || 1;
    bar.setAttribute("aria-label", item.path);
    line.append(name, state);
    row.append(line, bar);
    row.parts = { state, bar };
    this.list.append(row);
    return row;
  }

  draw() {
    this.dirty = false;
    const all = Array.from(this.items.values());
    for (const item of all) {
      const row = this.rows.get(item.path);
      if (!row) continue;
      const why = item.why === "unreadable" ? this.say("unreadable") : item.why;
      row.parts.state.textContent = item.state === "failed" ? this.say("failed", { why }) : this.say(item.state);
      row.parts.state.className = item.state === "failed" ? "small failed" : "small";
      row.parts.bar.value = item.file.size ? item.kept + item.moving : Number(item.state === "done");
    }
    this.drawTotal(all);
    this.announce(all);
  }

  drawTotal(all) {
    const size = all.reduce((sum, item) => sum + item.file.size, 0);
    const there = all.reduce((sum, item) => sum + item.kept + item.moving, 0);
    const done = all.filter((item) => item.state === "done").length;
    const sending = all.some((item) => item.state === "sending");
    this.total.max = size || 1;
    this.total.value = size ? there : Number(done === all.length);
    const values = { done: humanSize(there), all: humanSize(size), count: done, files: all.length };
    this.counts.textContent = this.say("progress", values);
    if (sending) this.pace.saw(there);
    else this.pace.forget();
    const speed = this.pace.bytesPerSecond();
    this.speed.textContent = !sending
      ? ""
      : speed
        ? this.say("speed", { speed: humanSize(speed), left: this.span((size - there) / speed) })
        : this.say("speed-unknown");
    this.pause.textContent = this.say(this.sender.paused ? "resume" : "pause");
    this.pause.hidden = this.sender.over || !this.unfinished();
    this.retry.hidden = this.sender.over || !all.some((item) => item.state === "failed");
    this.again.hidden = !this.sender.over;
    const button = this.form.querySelector("button");
    button.disabled = this.unfinished();
    document.getElementById("submit-told").textContent = button.disabled ? this.say("not-yet") : "";
  }

  span(seconds) {
    if (seconds < 60) return this.say("seconds", { count: Math.max(1, Math.ceil(seconds)) });
    if (seconds < 5400) return this.say("minutes", { count: Math.ceil(seconds / 60) });
    return this.say("hours", { count: (seconds / 3600).toFixed(1) });
  }

  // A reader of the screen hears what changed, not every percent.
  announce(all) {
    const failed = all.filter((item) => item.state === "failed").length;
    let told = "";
    if (this.sender.over) told = this.say("signed-out");
    else if (all.some((item) => item.state === "offline")) told = this.say("lost");
    else if (!this.unfinished() && failed) told = this.say("some-failed", { count: failed });
    else if (all.length && !this.unfinished()) told = this.say("all-done", { files: all.length });
    if (told === this.announced) return;
    this.announced = told;
    this.told.textContent = told;
  }

  async submit(event) {
    if (this.form.dataset.ready) return;
    event.preventDefault();
    if (this.unfinished()) return;
    const chosen = Array.from(this.items.values()).filter((item) => item.state === "done");
    let listed = {};
    try {
      const answer = await this.sender.ask("GET", `/transfers/${this.sender.transfer}/files`, {});
      listed = JSON.parse(answer.responseText).files;
    } catch (failure) {
      if (failure.status !== 401) {
        this.told.textContent = failure.status ? failure.why : this.say("lost");
        return;
      }
    }
    for (const item of chosen) listed[item.path.normalize("NFC")] = item.file.size;
    this.form.elements.files.value = JSON.stringify(listed);
    this.form.dataset.ready = "yes";
    this.form.requestSubmit();
  }
}

// --- what was dropped ------------------------------------------------------------------------------------------------

async function dropped(data) {
  const entries = Array.from(data.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return Array.from(data.files, (file) => [file, file.name]);
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, above, found) {
  const path = above + entry.name;
  if (entry.isFile) {
    found.push([await new Promise((resolve, reject) => entry.file(resolve, reject)), path]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}

// --- a transfer that is under way ------------------------------------------------------------------------------------

async function watch(area) {
  for (let pause = 1500; ; pause = Math.min(pause * 1.3, 15_000)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) continue;
    const answer = await fetch(`/transfers/${area.dataset.transfer}/state`, {
      headers: { Accept: "application/json" },
    }).catch(() => null); // no connection: asked again
    if (answer?.status === 401) return location.reload();
    if (answer?.ok && (await answer.json()).state !== area.dataset.state) return location.reload();
  }
}

const upload = document.getElementById("upload");
const watched = document.getElementById("watch");
if (upload) new Board(upload);
if (watched) watch(watched);
