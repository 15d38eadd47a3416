// ISODATA an iteration at a time: which centre each sample joins, where each centre goes, what is discarded, split, lumped.
import { isodata } from "../engine/isodata.js";
import { Plot, TARGET, assignTo, button, choice, drag, element, group, moving, panel, player, range, shape, short, slider, table, voice } from "./drawing.js";

const PARAMETERS = ["n_clusters", "min_samples", "max_std", "min_distance", "max_merges", "max_iter", "split_fraction"];
const LEVELS = { start: 3, samples: 2, means: 1, end: 0 }; // of what is on a line, from top to bottom
const PACE = 1200; // milliseconds between two iterations that play
const MIDDLE = { "text-anchor": "middle" };

export default moving(["samples", "seed", "iteration", ...PARAMETERS], (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, fixed: model.get("_fixed"), stages: [] });
    this.player = player(PACE, () => this.advance(), () => this.voice.say(this.words.textContent));
    this.map = new Plot("Samples and centres", ["links", "samples", "centres", "words"], [0, 1], [0, 1], { size: { left: 56 } });
    this.counts = new Plot("Number of clusters", ["here", "counts"], [0, 1], [0, 1]);
    this.counts.root.classList.add("errref-sideways");
    drag(this.counts, () => this.stages.length, (_, to) => this.goTo(to.x));
    this.keys = [element("ul"), element("ul")];
    this.words = element("p", { class: "errref-told" });
    this.table = table("Clusters");
    this.voice = voice();
    this.controls = controls(this.fixed, (values) => this.change(values), {
      go: (iteration) => this.goTo(iteration),
      by: (steps) => this.goTo(this.shown + steps),
      player: this.player,
      name: (iteration) => (iteration > this.last() ? "result" : String(iteration)),
    });
    root.append(
      element("div", { class: "errref-controls" }, ...this.controls.groups),
      this.controls.steps,
      element(
        "div",
        { class: "errref-plots" },
        panel("Samples and centres", this.map, this.keys[0]),
        panel("Clusters, against the iteration", this.counts, this.keys[1]),
      ),
      this.words,
      this.table.root,
      this.voice.root,
    );
  }

  close() {
    this.player.pause();
    this.voice.quiet();
  }

  // The number of the last iteration; after it comes the result.
  last() {
    return this.stages.length - 1;
  }

  change(values) {
    this.player.pause();
    assignTo(this.model, values);
  }

  goTo(iteration) {
    this.player.pause();
    this.show(iteration);
  }

  show(iteration) {
    if (this.stages.length) assignTo(this.model, { iteration: Math.min(Math.max(Math.round(iteration), 1), this.stages.length) });
  }

  // To the next iteration, or from the result to the start; says whether another one follows.
  advance() {
    this.show(this.shown > this.last() ? 1 : this.shown + 1);
    return this.shown <= this.last();
  }

  refresh() {
    const settings = Object.fromEntries(PARAMETERS.map((name) => [name, this.model.get(name)])), seed = this.model.get("seed");
    const example = this.fixed.examples.find(({ name }) => name === this.model.get("samples"));
    const start = seed === null ? { init: example.start } : { random_state: seed };
    let found = null, words;
    try {
      found = isodata(example.X, { ...settings, ...start });
    } catch (error) {
      words = error.message;
    }
    this.stages = found ? stagesOf(found) : [];
    this.shown = Math.min(this.model.get("iteration"), Math.max(this.stages.length, 1));
    this.controls.show(settings, seed, example, this.shown, this.stages.length);
    if (found) {
      const stage = this.stages[this.shown - 1], limits = { ...settings, max_std: found.max_std, min_distance: found.min_distance };
      words = told(stage, limits, this.last()).join(" ");
      this.drawMap(example.X, stage);
      this.drawCounts(settings.max_iter);
      this.tabulate(stage, limits);
    } else this.clear();
    this.words.replaceChildren(...symbolic(words));
    if (!this.player.playing()) this.voice.say(this.words.textContent);
  }

  clear() {
    for (const plot of [this.map, this.counts]) plot.clear("Nothing can be clustered with these settings.");
    for (const key of this.keys) key.replaceChildren();
    this.table.show([""], []);
  }

  colour(number) {
    return this.fixed.colours[`expert ${(number % 4) + 1}`];
  }

  // -- samples and centres: in the plane where they are, on a line one row below the other --

  drawMap(X, stage) {
    const flat = X[0].length === 1, at = (row, level) => (flat ? [row[0], LEVELS[level]] : row);
    const rows = [...X, ...this.stages.flatMap(({ start, moved = [] }) => [...start, ...moved])];
    const levels = Object.entries(stage.result ? { centres: LEVELS.start, samples: LEVELS.samples } : LEVELS);
    if (flat) this.map.setRanges(padded(rows, 0), [-0.6, 3.6], { y: levels.map(([name, level]) => [level, name]) });
    else this.map.setRanges(...alike(this.map.inner, padded(rows, 0), padded(rows, 1)));
    this.map.draw("samples", ...(flat ? this.onLine(X, stage) : this.inPlane(X, stage)));
    this.map.draw("links", ...this.ways(stage, at));
    this.map.draw("centres", ...this.centres(stage, at, flat));
    this.map.draw("words", ...this.events(stage, at, flat));
    this.keys[0].replaceChildren(...mapKeys(flat, stage));
    const sizes = stage.kept.map((j) => `${stage.numbers[j] + 1} with ${stage.sizes[j]}`).join(", ");
    const words = stage.result ? "this is the result" : happened(stage) || "the centres move to the means";
    this.map.describe(`${X.length} samples in clusters: ${sizes}; ${words}.`);
  }

  onLine(X, stage) {
    const plot = this.map, ends = [LEVELS.samples - 0.16, LEVELS.samples + 0.16];
    const shapes = X.map(([x], i) => {
      const number = numberOf(stage, i), out = { stroke: TARGET, "stroke-dasharray": "2 3" };
      return plot.curve([x, x], ends, { ...(number === null ? out : { stroke: this.colour(number) }), ...sample(number) });
    });
    for (const j of stage.kept.filter((j) => stage.sizes[j])) { // a band below the ticks of each cluster, with its number
      const mine = X.filter((_, i) => stage.labels[i] === j).map(([x]) => plot.px(x));
      const middle = (Math.min(...mine) + Math.max(...mine)) / 2, width = Math.max(Math.max(...mine) - Math.min(...mine) + 4, 13);
      const box = { x: middle - width / 2, y: plot.py(LEVELS.samples - 0.2), width, height: 13, fill: this.colour(stage.numbers[j]) };
      const text = { x: middle, y: box.y + 10.5, ...MIDDLE, class: "errref-who" };
      shapes.push(shape("rect", { ...box, stroke: "var(--paper)" }), shape("text", text, String(stage.numbers[j] + 1)));
    }
    return shapes;
  }

  inPlane(X, stage) {
    return X.flatMap(([x, y], i) => {
      const number = numberOf(stage, i), out = { fill: "none", stroke: TARGET, "stroke-dasharray": "2 3" };
      if (number === null) return [this.map.mark(x, y, { r: 8, ...out, ...sample(number) })];
      const dot = this.map.mark(x, y, { r: 8, fill: this.colour(number), ...sample(number) });
      return [dot, this.map.words(x, y, String(number + 1), [0, 4], { ...MIDDLE, class: "errref-who" })];
    });
  }

  // Lines from each centre to its mean, and from there to where it ends.
  ways({ start, moved, centers, kept, numbers, next, links }, at) {
    const line = (from, to, number) => {
      const [a, b] = [at(...from), at(...to)];
      return this.map.curve([a[0], b[0]], [a[1], b[1]], { stroke: this.colour(number) });
    };
    return [
      ...moved.map((row, k) => line([start[kept[k]], "start"], [row, "means"], numbers[kept[k]])),
      ...links.map(([k, place]) => line([moved[k], "means"], [centers[place], "end"], next[place])),
    ];
  }

  centres(stage, at, flat) {
    const { start, moved, centers, kept, numbers, next } = stage, plot = this.map;
    const square = (kind, [x, y], number) => {
      const look = { fill: "var(--paper)", stroke: this.colour(number), "stroke-width": 2.5 };
      const sign = plot.sign("square", x, y, 7.5, { ...look, class: `errref-${kind}`, "data-cluster": number + 1 });
      return [sign, plot.words(x, y, String(number + 1), [0, 4], MIDDLE)];
    };
    return [
      ...start.flatMap((row, j) => square("start", at(row, "start"), numbers[j])),
      ...stage.discarded.map((j) => {
        return plot.sign("cross", ...at(start[j], "start"), 10, { stroke: TARGET, "stroke-width": 2, class: "errref-discarded" });
      }),
      ...moved.map((row, k) => {
        const look = { fill: this.colour(numbers[kept[k]]), stroke: TARGET, "stroke-width": 1.5, class: "errref-mean" };
        return plot.sign("diamond", ...at(row, "means"), 6, { ...look, "data-cluster": numbers[kept[k]] + 1 });
      }),
      ...centers.flatMap((row, place) => (flat || changed(stage, place) ? square("end", at(row, "end"), next[place]) : [])),
    ];
  }

  events({ start, numbers, moved, centers, discarded, split, lumped, links }, at, flat) {
    const say = (words, row, level, by, look) => this.map.words(...at(row, level), words, by, look);
    const end = (k) => centers[links.find(([from]) => from === k)[1]];
    return [
      ...discarded.map((j) => say(`${numbers[j] + 1} discarded`, start[j], "start", [0, -13], MIDDLE)),
      ...split.map((k) => (flat ? say("split", moved[k], "means", [11, 4]) : say("split", moved[k], "means", [0, -12], MIDDLE))),
      ...lumped.map(([k]) => say("lumped", end(k), "end", [0, flat ? 21 : -13], MIDDLE)),
    ];
  }

  // -- the number of clusters --

  drawCounts(max_iter) {
    const plot = this.counts, found = this.stages.slice(0, -1).map(({ moved }) => moved.length), most = Math.max(...found) + 1;
    const whole = (to, from) => thinned(range(from, to, 1)).map((value) => [value, String(value)]);
    plot.setRanges([0.5, max_iter + 0.5], [0, most], { x: whole(max_iter, 1), y: whole(most, 0) });
    const here = Math.min(this.shown, this.last());
    plot.draw(
      "here",
      plot.curve([here, here], [0, most], { stroke: TARGET, "stroke-dasharray": "3 3", "stroke-width": 1 }),
      plot.mark(here, found[here - 1], { r: 9, fill: "none", stroke: TARGET, "stroke-width": 1.5, class: "errref-now" }),
    );
    const { general, reflection } = this.fixed.colours, x = found.map((_, t) => t + 1);
    const rest = [found.length, max_iter], same = [found.at(-1), found.at(-1)];
    plot.draw(
      "counts",
      plot.curve(rest, same, { stroke: TARGET, "stroke-opacity": 0.5, "stroke-dasharray": "2 4", "stroke-width": 1.2 }),
      plot.curve(x, found, { stroke: TARGET, "stroke-opacity": 0.5, "stroke-width": 1.2 }),
      ...found.map((count, t) => {
        if (t % 2) return plot.sign("square", t + 1, count, 4, { fill: general, class: "errref-count" });
        return plot.sign("circle", t + 1, count, 4.5, { fill: reflection, class: "errref-count" });
      }),
    );
    const keys = ["squares: even iterations", "circles: odd ones", "height: clusters; if it is the last, they are the result"];
    if (found.length < max_iter) keys.push("dotted: at rest");
    this.keys[1].replaceChildren(...keys.map((words) => element("li", {}, words)));
    const now = this.controls.name(this.shown);
    plot.describe(`Number of clusters in iterations 1 to ${found.length}: ${found.join(", ")}; shown is ${now}.`);
  }

  // -- in numbers --

  tabulate(stage, { min_samples, max_std, min_distance }) {
    const { start, sizes, kept, numbers, discarded, moved, meanDistances, meanDistance, stds, result } = stage;
    const none = "–", centres = result ? start : moved;
    const row = (j) => {
      const k = kept.indexOf(j), others = centres.filter((_, other) => other !== k);
      if (k < 0) return [`cluster ${numbers[j] + 1}, discarded`, sizes[j], none, none, none];
      const nearest = others.length ? Math.min(...others.map((other) => apart(centres[k], other))) : none;
      return [`cluster ${numbers[j] + 1}`, sizes[j], meanDistances?.[k] ?? none, stds ? Math.max(...stds[k]) : none, nearest];
    };
    const order = [...kept, ...discarded].sort((a, b) => numbers[a] - numbers[b]);
    const heads = ["", "samples", "D_j", "σ_j", "nearest centre"].map((words) => words && element("span", {}, ...symbolic(words)));
    this.table.show(heads, [...order.map(row), ["limit", min_samples, meanDistance ?? none, max_std, min_distance]]);
    const caption = result ? "The result" : `Iteration ${stage.iteration}, after the move to the means`;
    this.table.root.caption.textContent = caption;
  }
}

// The iterations with all that is drawn of them, then the result, in which nothing moves.
function stagesOf({ centers, labels, history }) {
  const numbers = lineage(history), places = centers.map((_, k) => k);
  const stages = history.map((entry, t) => {
    const kept = entry.start.map((_, j) => j).filter((j) => !entry.discarded.includes(j));
    return { ...entry, kept, numbers: numbers[t], next: numbers[t + 1] ?? places, links: linksOf(entry) };
  });
  const sizes = places.map((k) => labels.filter((label) => label === k).length), still = { moved: [], centers: [], links: [] };
  const nothing = { discarded: [], split: [], considered: [], lumped: [] };
  return [...stages, { start: centers, labels, sizes, kept: places, numbers: places, ...still, ...nothing, result: true }];
}

// Pairs of places: a centre that was moved, and a centre of the next iteration that comes from it.
function linksOf({ moved, split, lumped }) {
  const into = new Map(lumped.map(([i, j]) => [j, i])), place = new Map(), pairs = [];
  let count = 0;
  for (const k of moved.keys()) {
    if (into.has(k)) {
      pairs.push([k, place.get(into.get(k))]);
      continue;
    }
    place.set(k, count);
    pairs.push([k, count++]);
    if (split.includes(k)) pairs.push([k, count++]); // the lower half of a split follows its upper half
  }
  return pairs;
}

// A number for each first centre of each iteration, which a cluster keeps while it lives, as in the still figures:
// `lineage` of `errref.figures.isodata` says by which rule.
function lineage(history) {
  let after = history.at(-1).centers.map((_, k) => k);
  const found = [];
  for (const entry of [...history].reverse()) {
    const parents = new Set(), numbers = new Map(); // the first parent of a place hands its number back, once
    for (const [k, place] of linksOf(entry)) {
      if (!parents.has(place) && !numbers.has(k)) numbers.set(k, after[place]);
      parents.add(place);
    }
    let k = 0;
    const kept = entry.start.map((_, j) => (entry.discarded.includes(j) ? undefined : numbers.get(k++)));
    const free = kept.map((_, number) => number).filter((number) => !kept.includes(number));
    after = kept.map((number) => number ?? free.shift());
    found.unshift(after);
  }
  return found;
}

// The number of the cluster of a sample, or null if the sample sits out.
function numberOf({ labels, discarded, numbers }, i) {
  return discarded.includes(labels[i]) ? null : numbers[labels[i]];
}

function sample(number) {
  return { class: "errref-sample", "data-cluster": number === null ? "" : number + 1 };
}

// Whether an end centre comes from a split or a lump.
function changed({ links, split }, place) {
  const parents = links.filter(([, end]) => end === place);
  return parents.length > 1 || split.includes(parents[0][0]);
}

function happened({ discarded, split, lumped }) {
  const words = { discarded, split, lumped };
  return Object.entries(words).flatMap(([name, { length }]) => (length ? [`${name}: ${length}`] : [])).join(", ");
}

// What an iteration did, and why, in sentences.
function told(stage, limits, last) {
  const { iteration, kept, discarded, numbers, sizes, moved, split, stds, result } = stage;
  if (result) return theResult(stage, limits, last);
  const { n_clusters: K, min_samples, max_iter } = limits, count = moved.length, words = [`Iteration ${iteration} of ${max_iter}.`];
  for (const j of discarded) {
    const size = sizes[j] === 1 ? "1 sample" : `${sizes[j]} samples`;
    words.push(`Cluster ${numbers[j] + 1} has ${size}, fewer than θ_N = ${min_samples}: discarded.`);
  }
  if (sizes[kept[0]] < min_samples) words.push(`All are smaller than θ_N = ${min_samples}, so the largest stays.`);
  if (iteration === max_iter) return [...words, "The iteration is the last, and only moves the centres."];
  const few = 2 * count <= K;
  if (few) words.push(`N_c = ${count} ≤ K/2: wide clusters may be split.`);
  else if (iteration % 2 === 0) words.push(`The iteration is even, and N_c = ${count} > K/2: nothing is split.`);
  else if (stds) words.push(`The iteration is odd, and N_c = ${count} < 2K: wide clusters may be split.`);
  else words.push(`N_c = ${count} ≥ 2K: nothing is split.`);
  if (stds) words.push(...split.map((k) => whySplit(stage, limits, k, few)));
  if (stds && !split.length) words.push("None meets the condition.");
  if (!split.length) words.push(...whyLumped(stage, limits));
  if (iteration === last) words.push("Nothing can change any more: all further iterations would repeat the last two.");
  return words;
}

function whySplit({ kept, numbers, sizes, stds, meanDistances, meanDistance }, { max_std, min_samples }, k, few) {
  const wide = `Cluster ${numbers[kept[k]] + 1} is, with σ_j = ${short(Math.max(...stds[k]))} > θ_S = ${short(max_std)}`;
  if (few) return `${wide}.`;
  const many = `${sizes[kept[k]]} > 2(θ_N + 1) = ${2 * (min_samples + 1)} samples`;
  return `${wide}, D_j = ${short(meanDistances[k])} > D = ${short(meanDistance)} and ${many}.`;
}

function whyLumped({ kept, numbers, moved, considered, lumped }, { min_distance, max_merges }) {
  if (!max_merges) return ["L = 0: nothing is lumped."];
  if (!considered.length) return [`No two centres are closer than θ_C = ${short(min_distance)}.`];
  const words = considered.map(([i, j]) => {
    const done = lumped.some(([a, b]) => a === i && b === j) ? "lumped" : "left, since one of them was lumped before";
    const [a, b] = [i, j].map((k) => numbers[kept[k]] + 1).sort((x, y) => x - y);
    return `Clusters ${a} and ${b} are ${nearer(moved[i], moved[j], min_distance)}: ${done}.`;
  });
  if (considered.length === max_merges) words.push(`L = ${max_merges}: no further pair is considered.`);
  return words;
}

function theResult({ start, sizes }, { min_distance, max_iter }, last) {
  const count = start.length, clusters = count === 1 ? "one cluster" : `${count} clusters`;
  const words = [`The result: ${clusters} with ${listed(sizes)} samples.`];
  const close = (a, b) => apart(a, b) < min_distance * (1 - 1e-9); // what rounding makes is no difference
  for (let i = 0; i < count; i++)
    for (let j = i + 1; j < count; j++)
      if (close(start[i], start[j])) words.push(`Centres ${i + 1} and ${j + 1} end ${nearer(start[i], start[j], min_distance)}.`);
  if (last < max_iter) words.push(`It is at rest after ${last} of ${max_iter} iterations.`);
  return words;
}

function mapKeys(flat, { labels, discarded, result }) {
  const words = [result ? "squares: centres" : `squares: centres, before and after${flat ? "" : " a split or lump"}`];
  if (!result) words.push("diamonds: means");
  words.push(flat ? "ticks: samples, above the number of their cluster" : "circles: samples, with the number of their cluster");
  if (labels.some((label) => discarded.includes(label))) words.push("dashed: samples that sit out");
  return words.map((each) => element("li", {}, each));
}

function nearer(a, b, min_distance) {
  return `${short(apart(a, b))} apart, closer than θ_C = ${short(min_distance)}`;
}

function apart(a, b) {
  return Math.hypot(...a.map((value, f) => value - b[f]));
}

// The range of a column, with room at both ends.
function padded(rows, column) {
  const values = rows.map((row) => row[column]), low = Math.min(...values), high = Math.max(...values);
  const room = 0.08 * (high - low) || 1;
  return [low - room, high + room];
}

// Ranges of both axes in which a unit is as long on one as on the other.
function alike({ width, height }, ...ranges) {
  const unit = Math.max((ranges[0][1] - ranges[0][0]) / width, (ranges[1][1] - ranges[1][0]) / height);
  return ranges.map(([low, high], axis) => {
    const half = (unit * (axis ? height : width)) / 2;
    return [(low + high) / 2 - half, (low + high) / 2 + half];
  });
}

// So many of the whole numbers that there is room for their names.
function thinned(numbers) {
  const every = Math.ceil(numbers.length / 10);
  return numbers.filter((_, k) => k % every === 0);
}

// Words with the subscripts that symbols have: θ_S, N_c, D_j.
function symbolic(words) {
  return words.split(/(?<=[θσDN])_(\w)/).map((part, k) => (k % 2 ? element("sub", {}, part) : part));
}

// All controls; `show` sets them to some settings.
function controls({ examples, symbols }, change, { go, by, player, name }) {
  const own = (value) => (value === null ? "default" : short(value)), starts = (seed) => (seed === null ? "chapter's" : `seed ${seed}`);
  const lists = { n_clusters: range(1, 8, 1), min_samples: range(1, 20, 1), max_merges: range(0, 4, 1), max_iter: range(1, 20, 1) };
  Object.assign(lists, { max_std: [null], min_distance: [null], split_fraction: range(0.1, 1, 0.1) });
  const sliders = Object.fromEntries(symbols.map(([parameter, symbol]) => {
    const label = [...symbolic(symbol), ` ${parameter}`];
    return [parameter, slider(label, lists[parameter], own, (value) => change({ [parameter]: value }))];
  }));
  const pick = (picked) => change({ samples: picked, iteration: 1, ...examples.find((example) => example.name === picked).settings });
  const samples = choice("samples", examples.map((example) => [example.name, example.name]), pick);
  const start = slider("start", [null, ...range(0, 20, 1)], starts, (seed) => change({ seed }));
  const iteration = slider("iteration", [1], name, go);
  const buttons = [button("previous", () => by(-1)), player, button("next", () => by(1))];
  const { n_clusters, min_samples, max_std, min_distance, max_merges, max_iter, split_fraction } = sliders;
  const groups = [
    group("Samples", samples, start, n_clusters, max_iter),
    group("Discard, split, lump", min_samples, max_std, split_fraction, min_distance, max_merges),
  ];
  const steps = element("div", { class: "errref-steps" }, iteration.root, ...buttons.map(({ root }) => root));
  const show = (settings, seed, example, shown, count) => {
    const lengths = [null, ...range(0, 40 * example.step, example.step)];
    const changing = { max_std: lengths, min_distance: lengths };
    for (const [parameter, control] of Object.entries(sliders)) {
      control.offer(changing[parameter] ?? lists[parameter]);
      control.show(settings[parameter]);
    }
    samples.show(example.name);
    start.show(seed);
    iteration.offer(range(1, Math.max(count, 1), 1));
    iteration.show(shown);
  };
  return { groups, steps, show, name };
}

// Numbers as a sentence lists them: 5, 3 and 2.
function listed(numbers) {
  return numbers.length < 2 ? numbers.join("") : `${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`;
}
