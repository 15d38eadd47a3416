// The ball: choose where it starts on a loss surface and how it steps, and see where descent leaves it.
import { Plot, TARGET, assignTo, choice, counted, drag, element, group, legend, moving, panel, player, range, shape, short, slider, table, voice, write } from "./drawing.js";
import { contour, shades, survey } from "./map.js";
import { batchesOf, landscape, pathOf } from "../engine/landscapes.js";

const VALUES = ["surface", "start", "rate", "batch", "seed", "steps", "step"];
const WORDS = {
  minima: { choice: "minima: two lines", model: "line", best: null },
  saddle: { choice: "saddle: u v x", model: "line u v x", best: "all with u v = 1" },
  plateau: { choice: "plateau: a neuron", model: "curve", best: null },
};
const [SQUARE, FLAT] = [{ left: 40, height: 344 }, { left: 40, height: 150 }];
const CELLS = 120; // of the map, along each weight
const LINES = 9; // of equal loss
const EARLIER = 5; // paths that stay on the map
const PACE = 80; // milliseconds from one place of the rolling ball to the next
const START = 0.5; // where a logarithmic axis has the step 0: its left end
const [LOW, HIGH] = [1e-16, 100]; // of the gradient's norm, as drawn

export default moving(VALUES, (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, root, earlier: [] });
    this.fixed = model.get("_fixed");
    this.controls = controls(this.fixed, (values) => this.change(values), () => model.get("start"));
    this.shown = slider("step shown", [0], counted, (t) => this.goTo(t));
    this.player = player(PACE, () => this.advance());
    this.map = new Plot("The surface", ["ground", "earlier", "way", "covered", "ball", "ends"], [-1, 1], [-1, 1], { size: SQUARE });
    this.fit = new Plot("The samples", ["band", "best", "model", "samples"], [-1.2, 1.2], [-1.2, 1.2], { size: SQUARE });
    this.losses = new Plot("Loss", ["bound", "curve", "ball"], [START, 1], [0, 1], { log: "x", size: FLAT });
    this.norms = new Plot("Gradient", ["bound", "curve", "ball"], [START, 1], [LOW, HIGH], { log: "xy", size: FLAT });
    this.map.root.classList.add("errref-map");
    drag(this.map, (event) => event.pointerType === "mouse", (_, to) => this.drop(to));
    this.map.root.addEventListener("click", (event) => this.drop(this.map.where(event))); // a finger: it scrolls where it drags
    this.words = element("p", { class: "errref-words" });
    this.voice = voice();
    this.keys = Array.from({ length: 4 }, () => element("ul"));
    this.table = table("The ball on its way");
    const headings = ["Loss over the two weights", "The fit where the ball is", "Loss against step", "Norm of the gradient against step"];
    const plots = [this.map, this.fit, this.losses, this.norms];
    root.append(
      element("div", { class: "errref-controls" }, ...this.controls.groups, group("Roll", this.shown, this.player)),
      element("div", { class: "errref-status" }, this.words, this.voice.root),
      element("div", { class: "errref-plots" }, ...plots.map((plot, k) => panel(headings[k], plot, this.keys[k]))),
      this.table.root,
    );
  }

  close() {
    this.voice.quiet();
    this.player.pause();
  }

  // The ball starts at a place of the map.
  drop({ x, y }) {
    const half = this.data.half_width, start = [x, y].map((w) => Number(Math.min(Math.max(w, -half), half).toFixed(2)));
    if (String(start) !== String(this.model.get("start"))) this.change({ start });
  }

  // The reader sets something, and sees where that leads: the ball no longer rolls by itself.
  change(values) {
    this.player.pause();
    assignTo(this.model, values);
  }

  goTo(t) {
    this.player.pause();
    this.show(t);
  }

  // The ball stands at a step; at the last one it stays at the end when the path changes.
  show(t) {
    assignTo(this.model, { step: t < this.last ? t : null });
  }

  // Roll on, or from the end to the start; says whether there is more of the way.
  advance() {
    this.show(this.at === this.last ? 0 : this.moments.find((t) => t > this.at));
    return this.at < this.last;
  }

  refresh() {
    const settings = Object.fromEntries(VALUES.map((name) => [name, this.model.get(name)]));
    const { step, ...rest } = settings, key = JSON.stringify(rest);
    if (this.surface !== settings.surface) this.chart(settings.surface);
    if (key !== this.key) this.roll(rest, key);
    this.at = Math.min(step ?? this.last, this.last);
    this.controls.show(settings);
    this.shown.offer(this.moments);
    this.shown.show(this.at);
    this.place();
  }

  // A surface: its map, and its samples.
  chart(name) {
    const data = this.fixed.surfaces[name], { half_width: half, best } = data, side = this.map.inner.width;
    Object.assign(this, { surface: name, data, land: landscape(name, data), earlier: [] });
    const values = survey(this.land.loss, half, CELLS), sorted = values.toSorted();
    const low = sorted[0], high = sorted[Math.floor(0.95 * sorted.length)]; // what is above is as dark as this
    this.highest = sorted.at(-1);
    this.map.setRanges([-half, half], [-half, half]);
    const levels = range(1, LINES, 1).map((k) => low + (k / (LINES + 1)) * (high - low));
    const picture = { href: shades(values, CELLS, low, high), width: side, height: side };
    const near = { d: contour(values, CELLS, best.loss + this.fixed.near, side), fill: "none" };
    const tag = { x: this.map.px(best.at[0]) + 9, y: this.map.py(best.at[1]) - 7, class: "errref-tag" };
    this.map.draw(
      "ground",
      shape("image", picture),
      shape("path", { d: levels.map((level) => contour(values, CELLS, level, side)).join(""), class: "errref-level" }),
      shape("path", { ...near, stroke: "#fff", "stroke-width": 5 }),
      shape("path", { ...near, stroke: this.fixed.colours.oracle, "stroke-width": 2.5, class: "errref-near" }),
      shape("text", tag, "best fit"),
    );
    this.map.draw("earlier");
    this.fit.draw("best", this.answers(best.at, { stroke: this.fixed.colours.oracle, "stroke-dasharray": "5 3" }));
  }

  // The whole path, with loss and gradient at some of its steps.
  roll(settings, key) {
    const begin = performance.now(), { start, rate, batch, seed, steps } = settings, { land, data, fixed } = this;
    this.batches = this.drawn(batch, data.x.length, steps, seed);
    this.path = pathOf(land.gradient, start, rate, steps, fixed.far, this.batches);
    this.last = this.path.length - 1;
    this.gone = Math.max(...this.path[this.last].map(Math.abs)) > fixed.far;
    this.moments = momentsTo(this.last);
    this.trace = this.moments.map((t) => this.measured(t));
    this.arrived = this.trace.at(-1).loss <= data.best.loss + fixed.near;
    this.colour = fixed.colours[this.arrived ? "oracle" : "reflection"];
    this.way = this.thinned();
    this.key = key;
    const ways = this.way.map(({ at }) => at);
    this.map.draw("way", ...this.trail(ways, { "stroke-opacity": 0.55, "stroke-width": 1.5 }));
    this.map.draw("ends", ...this.ends(ways));
    this.drawCurves(steps);
    this.root.dataset.milliseconds = (performance.now() - begin).toFixed(1);
  }

  // The same batches as long as nothing that they hang on changes.
  drawn(...asked) {
    if (String(asked) !== this.asked) Object.assign(this, { asked: String(asked), kept: batchesOf(...asked) });
    return this.kept;
  }

  measured(t) {
    return { loss: this.land.loss(this.path[t]), norm: Math.hypot(...this.land.gradient(this.path[t])) };
  }

  // The places of the path that a reader can tell apart: half a unit of the picture from each other.
  thinned() {
    let last = [Infinity, Infinity];
    return this.path.map((at, t) => ({ at, t, x: this.map.px(at[0]), y: this.map.py(at[1]) })).filter(({ t, x, y }) => {
      const far = Math.hypot(x - last[0], y - last[1]) >= 0.5 || t === this.last;
      if (far) last = [x, y];
      return far;
    });
  }

  // A path on the map, with a white edge.
  trail(places, attributes, colour = this.colour) {
    const [x, y] = [0, 1].map((k) => places.map((at) => at[k]));
    const edge = { ...attributes, stroke: "#fff", "stroke-width": attributes["stroke-width"] + 2 };
    return [this.map.curve(x, y, edge), this.map.curve(x, y, { ...attributes, stroke: colour })];
  }

  // Both ends of a path: a ring where it starts; a dot where it ends at the best fit, or else a cross.
  ends(places, colour = this.colour, arrived = this.arrived) {
    const ring = this.map.mark(...places[0], { r: 4, fill: "#fff", stroke: colour, "stroke-width": 2, class: "errref-start" });
    const [a, b] = places.at(-1), [x, y] = [this.map.px(a).toFixed(1), this.map.py(b).toFixed(1)];
    if (arrived) return [ring, this.map.mark(a, b, { r: 5, fill: colour, stroke: "#fff", "stroke-width": 1.5, class: "errref-end" })];
    const cross = { d: `M${x},${y}m-5,-5l10,10m0,-10l-10,10`, fill: "none", class: "errref-end" };
    const edge = shape("path", { ...cross, stroke: "#fff", "stroke-width": 5 });
    return [ring, edge, shape("path", { ...cross, stroke: colour, "stroke-width": 2.5 })];
  }

  drawCurves(steps) {
    const { best } = this.data, { near, tiny, colours } = this.fixed, x = this.moments.map((t) => t || START);
    const losses = this.trace.map(({ loss }) => loss), norms = this.trace.map(({ norm }) => inRange(norm));
    const ranges = [START, 1.1 * steps], across = (plot, y, stroke) => plot.curve(ranges, [y, y], { stroke, "stroke-dasharray": "5 3" });
    this.losses.setRanges(ranges, [0, 1.05 * Math.max(best.loss + near, Math.min(Math.max(...losses), this.highest))]);
    this.norms.setRanges(ranges, [LOW, HIGH]);
    this.losses.draw("bound", across(this.losses, best.loss, colours.oracle));
    this.norms.draw("bound", across(this.norms, tiny, colours.control));
    this.losses.draw("curve", this.losses.curve(x, losses, { stroke: this.colour }));
    this.norms.draw("curve", this.norms.curve(x, norms, { stroke: this.colour }));
    this.keys[2].replaceChildren(legend(this.colour, "loss; left end: the start"), legend(colours.oracle, "loss of the best fit", "dashed"));
    this.keys[3].replaceChildren(legend(this.colour, "norm of the gradient"), legend(colours.control, `${short(tiny)}: tiny`, "dashed"));
  }

  // The ball at its step, in every plot and in words.
  place() {
    const { at: t, last, colour } = this, weights = this.path[t], now = this.measured(t), end = this.trace.at(-1), x = t || START;
    const mark = { r: 7.5, fill: this.fixed.colours.target, stroke: "#fff", "stroke-width": 2, "data-step": t };
    const covered = this.way.filter((place) => place.t < t).map(({ at }) => at);
    this.map.draw("covered", ...this.trail([...covered, weights], { "stroke-width": 2.5 }));
    this.map.draw("ball", this.map.mark(...weights, mark));
    this.losses.draw("ball", this.losses.mark(x, now.loss, { r: 4, fill: colour, stroke: TARGET }));
    this.norms.draw("ball", this.norms.mark(x, inRange(now.norm), { r: 4, fill: colour, stroke: TARGET }));
    this.drawFit(weights, t < last ? this.batches?.[t] : undefined);
    this.tabulate(t, now, end);
    const words = this.verdict(end);
    write(this.words, words);
    this.explain();
    this.describe(t, now, end);
    this.voice.atRest(() => {
      write(this.voice.root, t === last ? words : `Step ${t}: loss ${short(now.loss)}, norm of the gradient ${short(now.norm)}.`);
      this.keep();
    });
  }

  tabulate(t, now, end) {
    const { best } = this.data, row = (name, step, { loss, norm }) => [name, counted(step), pair(this.path[step]), loss, norm];
    const lowest = ["best fit", "", WORDS[this.surface].best ?? pair(best.at), best.loss, ""];
    this.table.show(["", "step", "weights", "loss", "gradient"], [row("ball", t, now), row("end", this.last, end), lowest]);
  }

  // Samples, the model at some weights, and which samples the next step uses.
  drawFit(weights, batch = []) {
    const { x, y, width } = this.data, { model } = WORDS[this.surface], next = new Set(batch);
    this.fit.draw("model", this.answers(weights, { stroke: this.colour, "stroke-width": 2.5 }));
    this.fit.draw("band", ...(width ? [this.band(weights, width)] : []));
    const dots = x.map((at, i) => this.fit.mark(at, y[i], { r: x.length > 9 ? 2.5 : 4, fill: TARGET }));
    const ring = { r: 5.5, fill: "none", stroke: TARGET, class: "errref-next" };
    const rings = [...next].map((i) => this.fit.mark(x[i], y[i], { ...ring, "data-sample": i }));
    this.fit.draw("samples", ...dots, ...rings);
    this.keys[1].replaceChildren(
      legend(this.colour, `${model} of the ball`),
      legend(this.fixed.colours.oracle, "best fit", "dashed"),
      element("li", {}, x.length > 1 ? `dots: ${x.length} samples` : "dot: the sample"),
      ...(width ? [element("li", {}, `band: within ${width} of the line`)] : []),
      ...(next.size ? [element("li", {}, "ringed: the batch of the next step")] : []),
    );
  }

  answers(weights, attributes) {
    const x = range(-1.2, 1.2, 0.05);
    return this.fit.curve(x, x.map((at) => this.land.answer(weights, at)), attributes);
  }

  band(weights, width) {
    const corner = (x, shift) => `${this.fit.px(x).toFixed(1)},${this.fit.py(this.land.answer(weights, x) + shift).toFixed(1)}`;
    const points = [corner(-1.2, width), corner(1.2, width), corner(1.2, -width), corner(-1.2, -width)].join(" ");
    return shape("polygon", { points, fill: this.colour, "fill-opacity": 0.15 });
  }

  // A path that has been looked at stays on the map for a while.
  keep() {
    if (this.earlier[0]?.key === this.key) return;
    const { key, way, colour, arrived } = this;
    this.earlier = [{ key, places: way.map(({ at }) => at), colour, arrived }, ...this.earlier].slice(0, EARLIER + 1);
    const faint = shape("g", { opacity: 0.45 });
    for (const old of this.earlier.toReversed()) {
      faint.append(...this.trail(old.places, { "stroke-width": 1 }, old.colour), ...this.ends(old.places, old.colour, old.arrived));
    }
    this.map.draw("earlier", faint);
    this.explain();
  }

  verdict({ loss, norm }) {
    const { near, tiny, far } = this.fixed, steps = counted(this.last);
    if (this.gone) return `These steps are too large: after ${steps} of them a weight is beyond ${counted(far)}.`;
    const half = this.data.half_width, off = this.path[this.last].some((w) => Math.abs(w) > half) ? " The ball has left the map." : "";
    const numbers = `loss ${short(loss)}, norm of the gradient ${short(norm)}`;
    if (this.arrived) return `After ${steps} steps the ball is at the best fit (to ${near}): ${numbers}.`;
    const ended = norm < tiny ? " The gradient is tiny: descent has ended." : "";
    return `After ${steps} steps the ball is not at the best fit: ${numbers}; the lowest loss is ${short(this.data.best.loss)}.${off}${ended}`;
  }

  describe(t, now, end) {
    const [from, to] = [this.path[0], this.path[this.last]].map(pair), where = this.arrived ? "at the best fit" : "not at the best fit";
    const { model } = WORDS[this.surface], [first] = this.trace, lowest = short(this.data.best.loss);
    this.map.describe(`Map of the loss, light where it is low, with the path of the ball from ${from} to ${to}, ${where}.`);
    this.fit.describe(`Samples, and the ${model} of the ball at step ${t}, with loss ${short(now.loss)}; dashed, the best fit.`);
    this.losses.describe(`Loss against step, from ${short(first.loss)} to ${short(end.loss)}; the lowest is ${lowest}.`);
    this.norms.describe(`Norm of the gradient against step, from ${short(first.norm)} to ${short(end.norm)}.`);
  }

  explain() {
    this.keys[0].replaceChildren(
      legend(this.colour, "path, from the ring"),
      element("li", {}, this.arrived ? "dot: ends at the best fit" : "cross: does not end at the best fit"),
      element("li", {}, "first weight across, second up; light is low"),
      ...(this.earlier.length > 1 ? [element("li", {}, "faint: paths before")] : []),
    );
  }
}

function pair(weights) {
  return `(${weights.map((w) => (Math.abs(w) < 1000 ? w.toFixed(2).replace(/^-(0.00)$/, "$1") : short(w))).join(", ")})`;
}

function inRange(norm) {
  return Math.min(Math.max(norm, LOW), HIGH);
}

// Steps at which the ball is shown: each of the first ones, then ever fewer, as the logarithmic axis has them.
function momentsTo(last) {
  const found = [];
  for (let t = 0; t < last; t = Math.max(t + 1, Math.round(1.1 * t))) found.push(t);
  return [...found, last];
}

// All controls; `show` sets them to some settings.
function controls({ surfaces }, onChange, start) {
  const surface = choice("surface", Object.keys(surfaces).map((name) => [name, WORDS[name].choice]), (name) =>
    onChange({ surface: name, start: surfaces[name].start, batch: null, step: null }),
  );
  let n = 1; // samples of the surface
  const first = slider("first weight", [0], short, (value) => onChange({ start: [value, start()[1]] }));
  const second = slider("second weight", [0], short, (value) => onChange({ start: [start()[0], value] }));
  const rate = slider("step size", [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], short, (value) => onChange({ rate: value }));
  const steps = slider("steps in all", [100, 200, 500, 1000, 2000, 3000, 5000], counted, (value) => onChange({ steps: value }));
  const batched = (size) => (size < n || n === 1 ? String(size) : `all ${n}`);
  const batch = slider("batch size", [1], batched, (size) => onChange({ batch: size < n ? size : null }));
  const seed = slider("seed", range(0, 99, 1), String, (value) => onChange({ seed: value }));
  const note = element("p", { class: "errref-note" });
  const groups = [group("Start", surface, first, second), group("Descent", rate, steps), group("Noise", batch, seed, { root: note })];
  const show = (settings) => {
    const { half_width: half, sizes, x } = surfaces[settings.surface], noisy = settings.batch !== null && settings.batch < x.length;
    n = x.length;
    surface.show(settings.surface);
    for (const [k, weight] of [first, second].entries()) {
      weight.offer(range(-half, half, half / 50));
      weight.show(settings.start[k]);
    }
    rate.show(settings.rate);
    steps.show(settings.steps);
    batch.offer(sizes);
    batch.show(noisy ? settings.batch : n);
    seed.show(settings.seed);
    [batch.input.disabled, seed.input.disabled] = [n === 1, !noisy];
    const all = n === 1 ? "One sample: every batch is all there is, so there is no noise." : `Every step uses all ${n} samples: no noise.`;
    write(note, noisy ? `Every step draws ${settings.batch} of ${n} samples, with replacement.` : all);
  };
  return { groups, show };
}
