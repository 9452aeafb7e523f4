// Synchronised players. Every chosen variant is one film; self-driven ones show truth | render |
// error map side by side in one picture, whose squares are drawn onto canvases of their own. So the
// panels of one film are in step by construction; several films are held together by the player.
"use strict";

const JOIN = 0.15; // s that a film may be off while playing before it jumps instead of hurrying
const PATIENCE = 3000; // ms to wait for all films before they play
const HURRY = 0.08; // share of the speed by which a film catches up or waits

class Film {
  constructor(run, player) {
    this.run = run;
    this.player = player;
    this.shown = -1; // number of the frame that is drawn
    this.pending = null; // frame to seek to when the present seek is done
    this.video = document.createElement("video");
    Object.assign(this.video, { src: run.src, preload: "auto", playsInline: true, muted: true });
    this.video.preservesPitch = true;
    this.video.addEventListener("loadedmetadata", () => this.seek(player.frame));
    this.video.addEventListener("seeked", () => this.sought());
    this.video.addEventListener("ended", () => player.ended(this));
    this.video.addEventListener("error", () => player.say(`${run.src} cannot be played`));
    player.films.append(this.video);
    this.watch();
  }

  watch() {
    if ("requestVideoFrameCallback" in this.video) {
      const next = (now, frame) => {
        this.present(Math.round(frame.mediaTime * this.player.fps));
        this.video.requestVideoFrameCallback(next);
      };
      this.video.requestVideoFrameCallback(next);
      return;
    }
    const look = () => {
      if (this.video.readyState > 1 && !this.video.seeking) {
        const frame = Math.floor(this.video.currentTime * this.player.fps + 0.01);
        if (frame !== this.shown) this.present(frame);
      }
      if (this.video.isConnected) requestAnimationFrame(look);
    };
    look();
  }

  present(frame) {
    this.shown = Math.min(frame, this.player.last);
    this.player.presented(this);
  }

  // The middle of a frame, so that rounding cannot show its neighbour.
  timeOf(frame) {
    return (frame + 0.5) / this.player.fps;
  }

  seek(frame) {
    if (this.video.readyState < 1 || this.video.seeking) {
      this.pending = frame;
    } else {
      this.pending = null;
      this.video.currentTime = this.timeOf(frame);
    }
  }

  sought() {
    if (this.pending !== null) this.seek(this.pending);
    else this.player.presented(this);
  }

  get ready() {
    return this.video.readyState > 2 && !this.video.seeking && this.pending === null;
  }

  close() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.video.remove();
  }
}

class Player {
  static playing = null; // the one player that runs

  constructor(root) {
    this.root = root;
    Object.assign(this, JSON.parse(root.querySelector("script").textContent));
    this.last = this.frames - 1;
    this.frame = 0;
    this.going = false;
    this.open = new Map(); // films by the key of their run, the first leads
    this.chosen = [this.runs[0].key];
    for (const name of ["films", "panels", "play", "scrub", "time", "speed", "loop", "sound", "errors", "status"])
      this[name] = root.querySelector(`.${name}`);
    this.charts = [...document.querySelectorAll(`[data-player="${root.id}"]`)];
    this.connect();
    this.mark();
    // Films are loaded only when somebody comes near.
    const near = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        near.disconnect();
        this.arrange();
      }
    }, { rootMargin: "200px" });
    near.observe(root);
  }

  connect() {
    const on = (element, event, act) => element && element.addEventListener(event, act);
    this.root.querySelectorAll("[data-run]").forEach((button) => on(button, "click", () => this.choose(button.dataset.run)));
    this.root.querySelectorAll("[data-mode]").forEach((radio) => on(radio, "change", () => this.setMode(radio.dataset.mode)));
    on(this.errors, "change", () => this.arrange());
    on(this.play, "click", () => this.toggle());
    on(this.panels, "click", () => this.toggle());
    on(this.root.querySelector(".back"), "click", () => this.step(-1));
    on(this.root.querySelector(".on"), "click", () => this.step(1));
    on(this.scrub, "input", () => this.go(Number(this.scrub.value)));
    on(this.speed, "change", () => this.all().forEach((film) => (film.video.playbackRate = this.rate)));
    on(this.sound, "change", () => this.hear());
    on(this.root, "keydown", (event) => this.key(event));
    this.charts.forEach((chart) => chart.querySelectorAll("svg").forEach((svg) => this.follow(svg)));
  }

  all() {
    return [...this.open.values()];
  }

  get rate() {
    return Number(this.speed.value);
  }

  get alone() {
    return !this.root.querySelector("[data-mode=several]:checked");
  }

  get lead() {
    return this.all()[0];
  }

  // ---- what is shown

  choose(key) {
    if (this.alone) this.chosen = [key];
    else if (!this.chosen.includes(key)) this.chosen = this.runs.map((run) => run.key).filter((k) => k === key || this.chosen.includes(k));
    else if (this.chosen.length > 1) this.chosen = this.chosen.filter((k) => k !== key);
    this.arrange();
  }

  setMode(mode) {
    if (mode === "one") this.chosen = this.chosen.slice(0, 1);
    else if (this.chosen.length < 2) {
      const other = this.runs.find((run) => !this.chosen.includes(run.key));
      if (other) this.chosen.push(other.key);
    }
    this.arrange();
  }

  arrange() {
    const goes_on = this.going;
    if (goes_on) this.pause();
    const runs = this.chosen.map((key) => this.runs.find((run) => run.key === key));
    for (const [key, film] of this.open)
      if (!this.chosen.includes(key)) {
        film.close();
        this.open.delete(key);
      }
    this.open = new Map(runs.map((run) => [run.key, this.open.get(run.key) || new Film(run, this)]));
    this.lay(runs);
    this.offerSound(runs);
    this.mark();
    this.go(this.frame);
    if (goes_on) this.toggle();
  }

  lay(runs) {
    this.pictures = [];
    this.panels.replaceChildren();
    const add = (place, run, tile, label, alt, name) => {
      const figure = place.appendChild(document.createElement("figure"));
      const canvas = figure.appendChild(document.createElement("canvas"));
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", alt);
      canvas.width = canvas.height = 512;
      const caption = figure.appendChild(document.createElement("figcaption"));
      caption.textContent = label;
      if (name) caption.dataset.name = name;
      this.pictures.push({ film: this.open.get(run.key), tile, canvas });
    };
    if (this.truth) add(this.panels, runs[0], 0, "truth", "Truth: the true frame", "truth");
    for (const run of runs) {
      // Side by side, each error map stands under its render.
      let place = this.panels;
      if (runs.length > 1) {
        place = this.panels.appendChild(document.createElement("div"));
        place.className = "pair";
      }
      add(place, run, this.truth ? 1 : 0, run.label, run.alt, run.key);
      if (this.truth && this.errors.checked)
        add(place, run, 2, `error of ${run.label}`, `${run.label}: absolute error of the frame, black where there is none`);
    }
    this.root.dataset.panels = this.pictures.length;
  }

  mark() {
    this.root.querySelectorAll("[data-run]").forEach((button) => button.setAttribute("aria-pressed", this.chosen.includes(button.dataset.run)));
    for (const chart of this.charts)
      for (const part of chart.querySelectorAll("[data-name]"))
        part.classList.toggle("off", part.dataset.name !== "truth" && !this.chosen.includes(part.dataset.name));
  }

  offerSound(runs) {
    const before = this.sound.value;
    const options = runs.map((run) => new Option(run.label, run.key));
    this.sound.replaceChildren(...options, new Option("off", ""));
    if (before === "" || this.open.has(before)) this.sound.value = before;
    if (!this.sound.dataset.offered) this.sound.selectedIndex = 0;
    this.sound.dataset.offered = "yes";
    this.hear();
  }

  hear() {
    for (const [key, film] of this.open) film.video.muted = key !== this.sound.value;
  }

  // ---- time

  go(frame) {
    this.frame = Math.max(0, Math.min(this.last, frame));
    const goes_on = this.going;
    if (goes_on) this.halt();
    this.all().forEach((film) => film.seek(this.frame));
    this.tell();
    this.busy();
    if (goes_on) this.start();
  }

  step(by) {
    this.pause();
    this.go(this.frame + by);
  }

  toggle() {
    if (this.going) this.pause();
    else this.start();
  }

  async start() {
    if (Player.playing && Player.playing !== this) Player.playing.pause();
    Player.playing = this;
    if (!this.open.size) this.arrange();
    const turn = (this.turn = Symbol("start"));
    this.going = true;
    this.button();
    if (this.frame === this.last) this.frame = 0;
    for (const film of this.all())
      if (Math.abs(film.video.currentTime - film.timeOf(this.frame)) > 0.4 / this.fps) film.seek(this.frame);
    // Some phones load nothing before they are told to play.
    const patience = performance.now() + PATIENCE;
    while (this.turn === turn && performance.now() < patience && !this.all().every((film) => film.ready))
      await new Promise((done) => setTimeout(done, 20));
    if (this.turn !== turn) return;
    try {
      await Promise.all(this.all().map((film) => {
        film.video.playbackRate = this.rate;
        return film.video.play();
      }));
    } catch (problem) {
      if (this.turn === turn) {
        this.pause();
        this.say(`the browser does not play: ${problem.message}`);
      }
    }
  }

  halt() {
    this.turn = null;
    this.all().forEach((film) => film.video.pause());
  }

  pause() {
    if (!this.going) return;
    this.going = false;
    this.halt();
    this.button();
    this.go(this.frame); // all on one frame
  }

  ended(film) {
    if (!this.going || film !== this.lead) return;
    if (this.loop.checked) {
      this.halt();
      this.frame = 0;
      this.start();
    } else {
      this.frame = this.last;
      this.pause();
    }
  }

  presented(film) {
    this.draw(film);
    if (!this.going) return this.busy();
    if (film !== this.lead || film.video.paused || film.video.seeking) return;
    this.frame = film.shown;
    this.panels.setAttribute("aria-busy", false);
    this.tell();
    for (const other of this.all().slice(1)) {
      const late = film.video.currentTime - other.video.currentTime;
      if (Math.abs(late) > JOIN) other.seek(Math.min(this.last, this.frame + 1));
      other.video.playbackRate = this.rate * (1 + HURRY * Math.max(-1, Math.min(1, late * this.fps)));
    }
  }

  draw(film) {
    if (film.video.readyState < 2) return;
    const side = film.video.videoHeight;
    for (const { film: own, tile, canvas } of this.pictures) {
      if (own !== film) continue;
      canvas.parentElement.hidden = tile * side >= film.video.videoWidth; // an older file may lack it
      if (canvas.width !== side) canvas.width = canvas.height = side;
      canvas.getContext("2d").drawImage(film.video, tile * side, 0, side, side, 0, 0, side, side);
    }
  }

  // ---- what the page says

  busy() {
    const waiting = this.all().some((film) => film.shown !== this.frame || !film.ready);
    this.panels.setAttribute("aria-busy", waiting);
  }

  tell() {
    const seconds = (this.start_frame + this.frame) / this.fps;
    this.scrub.value = this.frame;
    this.scrub.setAttribute("aria-valuetext", `frame ${this.frame + 1} of ${this.frames}`);
    this.time.textContent = `${this.frame + 1} / ${this.frames} · ${seconds.toFixed(2)} s`;
    this.charts.forEach((chart) => chart.querySelectorAll("svg").forEach((svg) => this.place(svg, seconds)));
  }

  button() {
    this.play.textContent = this.going ? "Pause" : "Play";
  }

  say(text) {
    this.status.textContent = text;
  }

  // ---- charts

  follow(svg) {
    const { left, right, from, to } = svg.dataset;
    svg.axis = { left: +left, right: +right, from: +from, to: +to };
    svg.head = document.createElementNS("http://www.w3.org/2000/svg", "line");
    svg.head.setAttribute("class", "playhead");
    svg.head.setAttribute("y1", 24);
    svg.head.setAttribute("y2", svg.viewBox.baseVal.height - 36);
    svg.append(svg.head);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width - left) / (right - left);
      this.go(Math.round((+from + share * (to - from)) * this.fps - this.start_frame));
    });
  }

  place(svg, seconds) {
    const { left, right, from, to } = svg.axis;
    const x = (left + ((seconds - from) / (to - from)) * (right - left)) * svg.viewBox.baseVal.width;
    svg.head.setAttribute("x1", x);
    svg.head.setAttribute("x2", x);
  }

  // ---- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    const kind = at.tagName === "INPUT" ? at.type : at.tagName.toLowerCase();
    if (kind === "select") return;
    const acts = { ",": () => this.step(-1), ".": () => this.step(1), k: () => this.toggle() };
    if (!["radio", "range"].includes(kind)) {
      acts.ArrowLeft = acts[","];
      acts.ArrowRight = acts["."];
      acts.Home = () => this.go(0);
      acts.End = () => this.go(this.last);
    }
    if (["div", "range", "section"].includes(kind)) acts[" "] = () => this.toggle();
    if (!(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }
}

for (const root of document.querySelectorAll(".player")) root.player = new Player(root);
