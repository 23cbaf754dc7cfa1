"use strict";
// The sounds of one section play in step through one gain each: switching changes gains, never the position.

const FADE = 0.006; // seconds: short enough to seem instant, long enough not to click
const LEAD = 0.03; // seconds between the order to play and the common start of all sounds
const players = [];
let context = null;
let current = null; // the player that the keyboard speaks to

class Player {
  constructor(section) {
    this.section = section;
    this.seconds = Number(section.dataset.seconds);
    this.tracks = [...section.querySelectorAll(".track")];
    this.elements = this.tracks.map((track) => track.querySelector("audio"));
    this.picks = [...section.querySelectorAll(".pick")];
    this.button = section.querySelector(".play");
    this.seek = section.querySelector(".seek");
    this.clock = section.querySelector(".clock");
    this.heads = [...section.querySelectorAll(".playhead")];
    this.chosen = 0;
    this.offset = 0; // where playing began or will begin, in seconds of the excerpt
    this.began = null; // the context's time at that moment; null while paused
    this.voices = [];
    this.buffers = null;
    section.querySelector(".transport").hidden = false;
    section.classList.add("ready");
    for (const element of this.elements) element.hidden = true;
    this.button.addEventListener("click", () => this.toggle());
    this.picks.forEach((pick, index) => pick.addEventListener("click", () => this.choose(index)));
    this.seek.addEventListener("input", () => this.move(Number(this.seek.value)));
    for (const picture of section.querySelectorAll(".picture")) {
      picture.addEventListener("click", (event) => {
        const box = picture.getBoundingClientRect();
        this.move((event.clientX - box.left) / box.width * this.seconds);
      });
    }
    this.choose(0);
    this.show();
  }

  get playing() { return this.began !== null; }

  position() {
    if (!this.playing) return this.offset;
    return Math.min(this.seconds, this.offset + Math.max(0, context.currentTime - this.began));
  }

  async load() {
    if (this.buffers) return;
    this.button.setAttribute("aria-busy", "true");
    this.buffers = await Promise.all(this.elements.map((element) => context.decodeAudioData(bytesOf(element.src))));
    this.button.removeAttribute("aria-busy");
  }

  async toggle() {
    current = this;
    if (this.playing) return this.pause();
    context ??= new AudioContext();
    await Promise.all([context.resume(), this.load()]);
    for (const player of players) player.pause();
    if (this.offset >= this.seconds - 0.01) this.offset = 0;
    this.start();
  }

  start() {
    this.began = context.currentTime + LEAD;
    this.voices = this.buffers.map((buffer, index) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: index === this.chosen ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(this.began, this.offset);
      return { source, gain };
    });
    this.section.classList.add("playing");
    this.button.setAttribute("aria-label", "Pause");
    requestAnimationFrame(() => this.tick());
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.position();
    this.began = null;
    for (const voice of this.voices) voice.source.stop();
    this.voices = [];
    this.section.classList.remove("playing");
    this.button.setAttribute("aria-label", "Play");
    this.show();
  }

  move(seconds) {
    const resume = this.playing;
    current = this;
    this.pause();
    this.offset = Math.min(Math.max(0, seconds), this.seconds);
    if (resume) this.start();
    this.show();
  }

  choose(index) {
    this.chosen = index;
    current = this;
    this.picks.forEach((pick, i) => pick.setAttribute("aria-pressed", String(i === index)));
    this.tracks.forEach((track, i) => track.classList.toggle("heard", i === index));
    this.voices.forEach(({ gain }, i) => {
      gain.gain.cancelScheduledValues(context.currentTime);
      gain.gain.setTargetAtTime(i === index ? 1 : 0, context.currentTime, FADE / 3);
    });
  }

  tick() {
    if (!this.playing) return;
    if (this.position() >= this.seconds) {
      this.pause();
      this.offset = 0;
      this.show();
    } else {
      this.show();
      requestAnimationFrame(() => this.tick());
    }
  }

  show() {
    const at = this.position();
    this.seek.value = at;
    this.clock.textContent = `${at.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
    for (const head of this.heads) {
      head.setAttribute("x1", `${100 * at / this.seconds}%`);
      head.setAttribute("x2", `${100 * at / this.seconds}%`);
    }
  }
}

function bytesOf(dataUrl) {
  return Uint8Array.from(atob(dataUrl.slice(dataUrl.indexOf(",") + 1)), (c) => c.charCodeAt(0)).buffer;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !current) return;
  const inside = event.target.closest?.(".listen");
  const player = players.find((candidate) => candidate.section === inside) ?? current;
  const index = Number(event.key) - 1;
  if (player.picks[index]) {
    player.choose(index);
  } else if (event.key === " " && !event.target.closest?.("button, input, summary")) {
    event.preventDefault(); // else the page scrolls
    player.toggle();
  }
}

for (const section of document.querySelectorAll(".listen")) players.push(new Player(section));
current = players[0] ?? null;
document.addEventListener("keydown", onKey);
