// The training of one system, step by step: the general network first, then its experts.
import { Plot, TARGET, assignTo, band, choice, counted, drag, element, group, legend, moving, networkColour, panel, player, trainingState } from "./drawing.js";
import { shape, short, slider, sparse, table, thread, voice, write } from "./drawing.js";
import { evaluate } from "../engine/training.js";

const TICK = 90; // milliseconds between two moments while it plays
const STATES = { bends: { "stroke-width": 2 }, on: { "stroke-dasharray": "1 3" }, dead: { "stroke-dasharray": "6 4" } };
const ON_TESTS = { "stroke-dasharray": "5 3" };
const MARK = 3.2; // radius
const NOTHING = "Nothing yet: the networks are not trained.";
const LATER = "Experts are trained after the general network; curves show what is to come.";
const FOOT = 14; // room for the band at the foot of a plot, above which the ticks stand

export default moving(["function", "seed", "stage", "step"], (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, root, latest: 0, asked: "", record: null });
    this.fixed = model.get("_fixed");
    this.stops = this.fixed.settings.stops;
    this.last = this.stops.length - 1;
    this.moments = ["general", "experts"].flatMap((stage) => this.stops.map((step) => ({ stage, step })));
    this.worker = thread(model.get("_engine"), (message) => this.receive(message), (words) => this.fail(words));
    this.player = player(TICK, () => this.advance());
    const names = Object.keys(this.fixed.functions).map((name) => [name, name]);
    this.function = choice("function", names, (name) => this.change({ function: name }));
    this.seed = slider("seed", this.fixed.seeds, String, (seed) => this.change({ seed }));
    this.moment = slider("moment", [...this.moments.keys()], (i) => inWords(this.moments[i]), (i) => this.change(this.moments[i]));
    this.left = this.column("general");
    this.right = this.column("experts");
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "progress of the training" });
    this.words = element("p", { class: "errref-words" });
    this.voice = voice();
    this.table = table("Mean squared error and units at this moment");
    const stack = ({ fit, traces, losses, keys }, ...headings) => {
      const panels = [fit, traces, losses].map((plot, k) => panel(headings[k], plot));
      return element("div", {}, ...panels, keys);
    };
    root.append(
      element("div", { class: "errref-controls" }, group("Target", this.function), group("Starting weights", this.seed)),
      element("div", { class: "errref-time" }, this.player.root, this.moment.root),
      element("div", { class: "errref-status" }, this.progress, this.words, this.voice.root),
      element(
        "div",
        { class: "errref-plots" },
        stack(this.left, "General network", "Breakpoints, step by step", "Loss, step by step"),
        stack(this.right, "Experts and who answers", "Breakpoints, step by step", "Losses, step by step"),
      ),
      this.table.root,
    );
  }

  // The three plots of a stage. Steps run upwards in the second, and to the right in the third, where one can point at one.
  column(stage) {
    const x = this.fixed.x_range, steps = [0.8 * this.stops[1], 1.2 * this.stops[this.last]], layers = ["course", "now"], left = 44;
    const marks = ["outside", "target", "other", "answer", "errors", "gate", "units"];
    const fit = new Plot(NOTHING, marks, x, [-1, 1], { size: { left } });
    const traces = new Plot(NOTHING, ["outside", ...layers], x, steps, { log: "y", size: { left, height: 150 } });
    const losses = new Plot(NOTHING, layers, steps, [1e-4, 1], { log: "xy", size: { left, height: 170 } });
    const places = this.stops.map((step) => losses.px(Math.max(step, steps[0])));
    losses.root.classList.add("errref-sideways");
    drag(losses, () => true, (_, { x: step }) => this.change({ stage, step: this.stops[nearest(places, losses.px(step))] }));
    return { fit, traces, losses, keys: element("ul") };
  }

  close() {
    this.player.pause();
    this.voice.quiet();
    this.worker.terminate();
  }

  change(values) {
    this.player.pause();
    assignTo(this.model, values);
  }

  // Go to the next moment, or from the last to the first; says whether another one follows.
  advance() {
    const next = (this.place() + 1) % this.moments.length;
    assignTo(this.model, this.moments[next]);
    return next + 1 < this.moments.length;
  }

  place() {
    const stop = this.stops.indexOf(this.model.get("step"));
    return this.model.get("stage") === "general" ? stop : this.stops.length + stop;
  }

  // Show the moment, and ask for another training where the present one is not of this function and seed.
  refresh() {
    const [target, seed] = [this.model.get("function"), this.model.get("seed")], asked = `${target} ${seed}`;
    this.function.show(target);
    this.seed.show(seed);
    this.moment.show(this.place());
    if (asked !== this.asked) {
      this.asked = asked;
      this.voice.quiet();
      this.root.dataset.state = "training";
      this.progress.hidden = false;
      const settings = { ...this.fixed.settings, function: target, seed, pieces: this.fixed.functions[target] };
      this.worker.postMessage({ id: ++this.latest, kind: "snapshots", settings });
    }
    if (this.record) this.showMoment();
  }

  receive(message) {
    const current = message.id === this.latest;
    if (message.kind === "error" && current) this.fail(message.text);
    if (message.kind === "progress" && current) this.showProgress(message);
    if (message.kind === "snapshots") this.showRecord(message, current);
  }

  fail(words) {
    write(this.words, words);
    this.progress.hidden = true;
    this.root.dataset.state = "error";
    this.voice.say(words);
  }

  showProgress(message) {
    const [part, words] = trainingState(message);
    this.progress.value = part;
    write(this.words, words);
  }

  // What stays while one moves through a training: the target, the traces of the breakpoints, the curves of the losses.
  showRecord(record, current) {
    this.record = { ...record, experts: [...record.kept.keys()].slice(1) };
    const { x, y, curves, experts } = this.record, { left, right } = this, { colours } = this.fixed, heights = this.heights();
    const decades = powers([...curves.own.flat(), ...curves.test, ...curves.system]);
    for (const { fit, traces, losses } of [left, right]) {
      fit.setRanges(fit.xRange, heights);
      losses.setRanges(losses.xRange, decades);
      fit.draw("target", fit.curve(sparse(x), sparse(y), { stroke: TARGET, "stroke-width": 5, "stroke-opacity": 0.25 }));
      for (const plot of [fit, traces]) plot.draw("outside", ...outside(plot));
    }
    left.traces.draw("course", ...this.traces(left.traces, 0));
    right.traces.draw("course", ...experts.flatMap((k) => this.traces(right.traces, k)));
    const own = (plot, k) => this.lossCurve(plot, curves.own[k], { stroke: this.colour(k) });
    const base = this.lossCurve(right.losses, this.stops.map(() => curves.test[this.last]), { stroke: this.colour(0), ...ON_TESTS });
    const all = this.lossCurve(right.losses, curves.system, { stroke: colours.reflection, "stroke-width": 2.5, ...ON_TESTS });
    left.losses.draw("course", own(left.losses, 0), this.lossCurve(left.losses, curves.test, { stroke: this.colour(0), ...ON_TESTS }));
    right.losses.draw("course", base, ...experts.map((k) => own(right.losses, k)), all);
    this.progress.hidden = current;
    Object.assign(this.root.dataset, { milliseconds: record.milliseconds.toFixed(1), state: current ? "shown" : "training" });
    this.showMoment();
  }

  colour(k) {
    return networkColour(this.fixed.colours, k);
  }

  // Step 0 and a loss of 0 have no place on a logarithmic axis, and stand at its end.
  lossCurve(plot, losses, attributes) {
    const [step, loss] = [plot.xRange[0], plot.yRange[0]];
    return plot.curve(this.stops.map((s) => Math.max(s, step)), losses.map((value) => Math.max(value, loss)), attributes);
  }

  // Heights that show the target, and the general network on its way as far as there is room for it.
  heights() {
    const { x, y, kept } = this.record, at = sparse(x, 64), [low, high] = ends(y), room = this.fixed.y_room * (high - low);
    const [least, most] = ends(kept[0].flatMap((weights) => [...evaluate(weights, at)]));
    const from = Math.max(Math.min(least, low), low - room), to = Math.min(Math.max(most, high), high + room);
    return [from - 0.25 * (to - from), to + 0.05 * (to - from)]; // more room below, for the band and the ticks
  }

  // The traces of a network's breakpoints: a path for each thing that its units do. A breakpoint passes through infinity
  // where the weight of its unit changes its sign.
  traces(plot, k) {
    const { kept, states } = this.record, points = kept[k].map(breakpoints), [low, high] = plot.xRange;
    const place = (s, j) => `${plot.px(points[s][j].x).toFixed(1)},${plot.py(Math.max(this.stops[s], plot.yRange[0])).toFixed(1)}`;
    const seen = ({ x }) => x > low && x < high, paths = Object.fromEntries(Object.keys(STATES).map((state) => [state, ""]));
    for (const j of states[k][0].keys()) {
      let pen = null;
      for (let s = 1; s <= this.last; s++) {
        const [before, after, state] = [points[s - 1][j], points[s][j], states[k][s - 1][j]];
        const drawn = before.sign === after.sign && (seen(before) || seen(after));
        if (drawn) paths[state] += `${pen === state ? "" : `M${place(s - 1, j)}`}L${place(s, j)}`;
        pen = drawn ? state : null;
      }
    }
    const common = { fill: "none", stroke: this.colour(k), "data-network": k };
    return Object.entries(paths).map(([state, d]) => shape("path", { d, ...common, "data-state": state, ...STATES[state] }));
  }

  showMoment() {
    const [stage, step] = [this.model.get("stage"), this.model.get("step")], s = this.stops.indexOf(step), trained = stage === "experts";
    const { left, right, last } = this, { curves, worst, samples, experts } = this.record, g = trained ? last : s;
    this.showNetworks(left, [0], g, { "stroke-width": 2 });
    this.showNetworks(right, trained ? experts : [], s, { "stroke-opacity": 0.35 });
    this.showErrorCases(worst[g], trained);
    this.explain(trained);
    this.showAnswers(trained ? s : null);
    this.showLosses(left, g, [[curves.own[0], 0], [curves.test, 0]]);
    this.showLosses(right, s, trained ? [...experts.map((k) => [curves.own[k], k]), [curves.system, null]] : []);
    const cases = worst[g].filter(Boolean).length, stay = worst[g].filter((wrong, i) => wrong && samples.errors[i]).length;
    const now = trained
      ? `loss on the test points: whole system ${short(curves.system[s])}, general network ${short(curves.test[last])}`
      : `${cases} error cases if training stopped here, ${stay} of them also at the end`;
    this.describe(trained, s, g, now);
    this.tabulate(trained, s, g);
    if (this.root.dataset.state !== "shown") return;
    write(this.words, now);
    this.voice.say(`${inWords({ stage, step })}: ${now}.`);
  }

  // Networks as curves, and their breakpoints: as ticks at the foot and, where they bend the curve, as dots on it.
  showNetworks({ fit, traces }, ks, s, attributes) {
    const [low, high] = fit.xRange, line = Float64Array.from({ length: 301 }, (_, i) => low + (i / 300) * (high - low));
    const { kept, states } = this.record, curves = [], units = [], now = [], step = Math.max(this.stops[s], traces.yRange[0]);
    if (ks.length) now.push(shape("path", { d: `M0,${traces.py(step)}h${traces.inner.width}`, class: "errref-instant" }));
    for (const k of ks) {
      const weights = kept[k][s], colour = this.colour(k);
      curves.push(fit.curve(line, evaluate(weights, line), { stroke: colour, "data-network": k, ...attributes }));
      breakpoints(weights).forEach(({ x }, j) => {
        const state = states[k][s][j];
        if (!state || !(x > low && x < high)) return;
        const data = { "data-network": k, "data-unit": j, "data-state": state }, bends = state === "bends";
        const look = bends ? { r: MARK, fill: colour, stroke: TARGET } : { r: MARK, fill: "none", stroke: colour };
        const tick = `M${fit.px(x).toFixed(1)},${fit.inner.height - FOOT}v${bends ? -9 : -4}`;
        units.push(shape("path", { d: tick, stroke: colour, "stroke-width": 2, class: "errref-tick", ...data }));
        if (bends) units.push(fit.mark(x, evaluate(weights, [x])[0], { ...look, class: "errref-vertex", ...data }));
        now.push(traces.mark(x, step, { ...look, class: "errref-breakpoint", ...data }));
      });
    }
    fit.draw("other", ...curves);
    fit.draw("units", ...units);
    traces.draw("now", ...now);
  }

  // Error cases on the target. At the end they have the colours of their clusters; before, full dots are those that stay.
  showErrorCases(wrong, clustered) {
    const { samples: { x, y, routes, errors } } = this.record, { fit } = this.left, { reflection } = this.fixed.colours;
    const look = (i) => (clustered ? { fill: this.colour(routes[i]) } : { fill: errors[i] ? reflection : "none", stroke: reflection });
    const dots = [...x.keys()].filter((i) => wrong[i]).map((i) => fit.mark(x[i], y[i], { r: 2, class: "errref-error", ...look(i) }));
    fit.draw("errors", ...dots);
  }

  // The whole system: each stretch in the colour of the network that answers; nothing before there are experts.
  showAnswers(s) {
    const { fit } = this.right, { x, who, kept, experts } = this.record, at = sparse(x), answers = sparse(who);
    if (s === null) {
      const [middle, level] = [fit.inner.width / 2, fit.inner.height - FOOT];
      fit.draw("gate", shape("text", { x: middle, y: level, "text-anchor": "middle" }, "no experts yet: the general network trains"));
      return fit.draw("answer");
    }
    const look = (k) => ({ stroke: this.colour(k), "stroke-width": 3, "data-network": k });
    const piece = (k, weights) => fit.curve(at, evaluate(weights, at), look(k), (i) => answers[i] === k);
    fit.draw("answer", piece(0, kept[0][this.last]), ...experts.map((k) => piece(k, kept[k][s])));
    fit.draw("gate", ...band(fit, who, this.fixed.colours));
  }

  // The present step across the curves of the losses, and each loss there; `k` is its network, null the whole system.
  showLosses({ losses: plot }, s, curves) {
    const at = Math.max(this.stops[s], plot.xRange[0]), shapes = [];
    if (curves.length) shapes.push(shape("path", { d: `M${plot.px(at)},0v${plot.inner.height}`, class: "errref-instant" }));
    for (const [losses, k] of curves) {
      const fill = k === null ? this.fixed.colours.reflection : this.colour(k);
      shapes.push(plot.mark(at, Math.max(losses[s], plot.yRange[0]), { r: MARK, fill, stroke: TARGET, "data-value": losses[s] }));
    }
    plot.draw("now", ...shapes);
  }

  describe(trained, s, g, now) {
    const { states, experts, curves } = this.record, { left, right, stops } = this;
    const after = (at) => `after ${counted(stops[at])} steps`, units = (k, at) => tally(states[k][at]);
    left.fit.describe(`Target and general network ${after(g)}, against x; ${now}.`);
    left.traces.describe(`Breakpoints of the general network's units, step by step; ${after(g)}: ${units(0, g)}.`);
    const [own, test] = [curves.own[0][g], curves.test[g]].map(short);
    left.losses.describe(`Loss of the general network, step by step; ${after(g)} ${own} on its samples, ${test} on the test points.`);
    if (!trained) {
      for (const plot of Object.values(right)) plot.describe?.(LATER);
      return;
    }
    const each = (say) => experts.map((k) => `expert ${k} ${say(k)}`).join("; ");
    right.fit.describe(`Target, experts ${after(s)}, and the answer of the whole system, against x; ${now}.`);
    right.traces.describe(`Breakpoints of the experts' units, step by step; ${after(s)}: ${each((k) => units(k, s))}.`);
    const losses = `${each((k) => short(curves.own[k][s]))}; whole system ${short(curves.system[s])}`;
    right.losses.describe(`Losses, step by step; ${after(s)}: ${losses}.`);
  }

  explain(trained) {
    const { experts, samples } = this.record, { colours } = this.fixed, sizes = (k) => samples.routes.filter((route) => route === k).length;
    const lines = "breakpoints: full while the unit bends, dotted while it is on at all samples, dashed while it is dead";
    this.left.keys.replaceChildren(
      legend(TARGET, "target"),
      legend(this.colour(0), "general network"),
      legend(this.colour(0), "its loss on the test points", "dashed"),
      element("li", {}, trained ? "dots: error cases, in the colours of their clusters" : "dots: error cases if training stopped here; hollow if they are none at the end"),
      element("li", {}, lines),
    );
    this.right.keys.replaceChildren(
      legend(this.colour(0), "G: general network"),
      legend(this.colour(0), "its loss on the test points at the end", "dashed"),
      ...experts.map((k) => legend(this.colour(k), `${k}: expert ${k}, ${sizes(k)} samples`)),
      legend(colours.reflection, "loss of the whole system on the test points", "dashed"),
      element("li", {}, "full lines of losses: on a network's own samples"),
      element("li", {}, "band: who answers"),
    );
  }

  tabulate(trained, s, g) {
    const { samples, states, curves, experts } = this.record, none = "–";
    const units = (k, at) => (states[k][at].length ? Object.values(counts(states[k][at])).join(" / ") : "constant");
    const row = (k) => {
      const size = String(samples.routes.filter((route) => route === k).length);
      return [`expert ${k}`, size, ...(trained ? [curves.own[k][s], none, units(k, s)] : [none, none, none])];
    };
    this.table.show(["", "samples", "loss on them", "loss on the test points", "units: bend / on / dead"], [
      ["general network", String(samples.x.length), curves.own[0][g], curves.test[g], units(0, g)],
      ...experts.map(row),
      ["whole system", none, none, trained ? curves.system[s] : none, none],
    ]);
  }
}

// The moment in words.
function inWords({ stage, step }) {
  return `${stage === "general" ? "general network" : "experts"}, step ${counted(step)}`;
}

// Where each unit of a network changes between off and on, and the sign of its weight.
function breakpoints(weights) {
  const H = (weights.length - 1) / 3;
  return Array.from({ length: H }, (_, j) => ({ x: -weights[H + j] / weights[j], sign: Math.sign(weights[j]) }));
}

function counts(states) {
  const of = (wanted) => states.filter((state) => state === wanted).length;
  return { bends: of("bends"), on: of("on"), dead: of("dead") };
}

function tally(states) {
  if (!states.length) return "none, it is a constant";
  const { bends, on, dead } = counts(states);
  return `${bends} bend, ${on} are on at all samples, ${dead} are dead`;
}

// The stretches without samples at both ends of the plot.
function outside(plot) {
  const { width, height } = plot.inner, [from, to] = [plot.px(-1), plot.px(1)];
  return [[0, from], [to, width - to]].map(([x, wide]) => shape("rect", { x, y: 0, width: wide, height, class: "errref-outside" }));
}

// The place in a list of the value that is nearest to another.
function nearest(values, wanted) {
  return values.reduce((best, value, i) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);
}

function ends(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

// The powers of ten around positive values.
function powers(values) {
  const [low, high] = ends(values.filter((value) => value > 0));
  return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))];
}
