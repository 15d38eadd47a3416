// The toy: a staircase that the reader drags over its samples, and the three losses at the place where it is.
import { Plot, TARGET, assignTo, drag, element, group, legend, moving, panel, range, slider, table, voice, write } from "./drawing.js";

const MARGIN = 0.25; // beyond the places that b can take
const ANSWERS = range(0, 7, 1); // that the picture shows
const TOTALS = [1, 2, 5, 10, 20, 50, 100]; // at which the axis of the losses has ticks

export default moving(["b", "copies"], (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, fixed: model.get("_fixed") });
    const { places, steps } = this.fixed, totals = steps.flatMap((each) => Object.values(each).flat().map(([, , total]) => total));
    this.ends = [places[0] - MARGIN, places.at(-1) + MARGIN];
    this.lossRange = [0.8 * Math.min(...totals), 1.2 * Math.max(...totals)];
    const marked = (values) => ({ y: values.map((value) => [value, String(value)]) });
    const answers = { marked: marked(ANSWERS) }, logarithmic = { marked: marked(TOTALS), log: "y" };
    this.stairs = new Plot("The model", ["handle", "errors", "answer", "data"], this.ends, [-0.9, ANSWERS.at(-1) + 0.5], answers);
    this.valleys = new Plot("The losses", ["handle", "losses", "minima", "names", "here"], this.ends, this.lossRange, logarithmic);
    for (const plot of [this.stairs, this.valleys]) plot.root.classList.add("errref-sideways");
    drag(this.stairs, () => true, (from, to) => this.pull(from, to));
    drag(this.valleys, () => true, (_, to) => this.moveTo(to.x));
    const words = (b) => String(Number(b.toFixed(3))), times = (n) => `${n} ×`;
    this.sliders = {
      b: slider("b", places, words, (b) => assignTo(model, { b })),
      copies: slider("copies of x = 1", range(1, steps.length, 1), times, (copies) => assignTo(model, { copies })),
    };
    this.samples = table("Samples");
    this.losses = table("Losses");
    this.voice = voice();
    root.append(
      element("div", { class: "errref-controls" }, group("Model", this.sliders.b), group("Data", this.sliders.copies)),
      element(
        "div",
        { class: "errref-plots" },
        panel("The model, against x", this.stairs, this.stairsLegend()),
        panel("The losses, against b", this.valleys, this.lossLegend()),
      ),
      element("div", { class: "errref-plots" }, this.samples.root, this.losses.root),
      this.voice.root,
    );
  }

  close() {
    this.voice.quiet();
  }

  // The staircase goes with the pointer that holds it, wherever it was taken hold of.
  pull(from, to) {
    if (from === to) this.held = this.model.get("b"); // pressed, not moved
    this.held += to.x - from.x;
    this.moveTo(this.held);
  }

  // To the nearest place.
  moveTo(b) {
    const { places } = this.fixed, distance = (place) => Math.abs(place - b);
    assignTo(this.model, { b: places.reduce((best, place) => (distance(place) < distance(best) ? place : best)) });
  }

  refresh() {
    const b = this.model.get("b"), copies = this.model.get("copies"), { x, y, steps, repeated } = this.fixed;
    this.sliders.b.show(b);
    this.sliders.copies.show(copies);
    const samples = x.map((at, i) => {
      const answer = Math.floor(Math.max(at - b, 0));
      return { x: at, y: y[i], answer, error: answer - y[i], times: at === repeated ? copies : 1 };
    });
    const losses = this.fixed.losses.map((loss) => {
      const found = steps[copies - 1][loss.name].map(([low, high, total, minimum, words]) => ({ low, high, total, minimum, words }));
      return { ...loss, found, here: found.find((step) => holds(step, b)) };
    });
    this.drawStairs(b, samples);
    this.drawLosses(b, losses);
    this.tell(b, samples, losses);
  }

  drawStairs(b, samples) {
    const plot = this.stairs, { general, reflection } = this.fixed.colours, [left, right] = this.ends, treads = [];
    for (let m = 0, from = left; from < right; from = b + ++m) {
      const to = Math.min(b + m + 1, right);
      treads.push(plot.curve([from, to], [m, m], { stroke: general, "stroke-width": 2.5, class: "errref-tread" }));
      if (to === right) continue;
      treads.push(plot.curve([to, to], [m, m + 1], { stroke: general, "stroke-width": 1, "stroke-dasharray": "1 3" }));
      treads.push(end(plot, to, m, general, false), end(plot, to, m + 1, general, true));
    }
    plot.draw("answer", ...treads);
    plot.draw("handle", handle(plot, b));
    const wrong = samples.filter(({ error }) => error);
    plot.draw("errors", ...wrong.flatMap(({ x, y, answer, error }) => [
      plot.curve([x, x], [y, answer], { stroke: reflection, class: "errref-residual" }),
      plot.words(x, (y + answer) / 2, signed(error), [2.5, 4]),
    ]));
    plot.draw("data", ...samples.flatMap(({ x, y, error, times }) => [
      error
        ? plot.sign("cross", x, y, 5, { stroke: reflection, "stroke-width": 3, class: "errref-wrong" })
        : plot.mark(x, y, { r: 4.5, fill: TARGET, class: "errref-right" }),
      ...(times > 1 ? [plot.words(x, y, `${times} ×`, [-9, 4], { "text-anchor": "end" })] : []),
    ]));
  }

  drawLosses(b, losses) {
    const plot = this.valleys, lines = [], dots = [], names = [];
    for (const { name, colour, width, found } of losses) {
      const seen = found.map((step) => this.clipped(step)).filter(({ low, high }) => low < high);
      const x = seen.flatMap(({ low, high }) => [low, high]), y = seen.flatMap(({ total }) => [total, total]);
      lines.push(plot.curve(x, y, { stroke: colour, "stroke-width": width, class: "errref-loss" }));
      names.push(plot.words(x[0], y[0], name, [3, -5 - width / 2]));
      for (const { low, high, total } of found.filter(({ minimum }) => minimum))
        for (const at of [low, high]) dots.push(end(plot, at, total, colour, at === high, 2.5 + width / 2));
    }
    plot.draw("losses", ...lines);
    plot.draw("minima", ...dots);
    plot.draw("names", ...names);
    const line = plot.curve([b, b], this.lossRange, { stroke: TARGET, "stroke-dasharray": "3 3", "stroke-width": 1 });
    plot.draw("handle", line, handle(plot, b));
    plot.draw("here", ...losses.map(({ colour, width, here }) => {
      return plot.mark(b, here.total, { r: 3 + width / 1.5, fill: colour, stroke: TARGET, "stroke-width": 1.5 });
    }));
  }

  // What the picture holds of a step.
  clipped({ low, high, total }) {
    const [left, right] = this.ends;
    return { low: Math.max(low ?? left, left), high: Math.min(high ?? right, right), total };
  }

  tell(b, samples, losses) {
    const total = samples.reduce((sum, { times }) => sum + times, 0);
    const right = samples.reduce((sum, { times, error }) => sum + (error ? 0 : times), 0);
    const named = ({ x, times }) => (times > 1 ? `x = ${x}, ${times} times` : `x = ${x}`);
    const lines = samples.map((sample) => [named(sample), sample.y, sample.answer, sample.error]);
    this.samples.show(["", "target", "answer", "error"], lines);
    this.losses.show(["", "total", "step", "around b"], [
      ...losses.map(({ name, here }) => [name, here.total, stretch(here), here.words]),
      ["accuracy", right / total, "", `${right} of ${total} right`],
    ]);
    write(this.samples.root.caption, `Samples, with b = ${b}`);
    write(this.losses.root.caption, `Losses at b = ${b}`);
    const wrong = samples.filter(({ error }) => error).map((sample) => `${named(sample)} by ${signed(sample.error)}`).join("; ");
    const totals = losses.map(({ name, here }) => `${name} ${here.total}`).join(", ");
    this.stairs.describe(`A staircase that starts at b = ${b}, and the samples; wrong are ${wrong}.`);
    this.valleys.describe(`Three losses against b, in steps; at b = ${b} they are: ${totals}.`);
    const places = losses.map(({ name, here }) => `${name} loss ${here.total}, ${here.words}`);
    this.voice.say(`b = ${b}: ${right} of ${total} samples right; ${places.join("; ")}.`);
  }

  stairsLegend() {
    const { general, reflection } = this.fixed.colours;
    return element(
      "ul",
      {},
      legend(general, "model"),
      legend(reflection, "error"),
      element("li", {}, "dots: right samples"),
      element("li", {}, "crosses: wrong ones"),
    );
  }

  lossLegend() {
    const lines = this.fixed.losses.map(({ name, colour }) => legend(colour, name));
    return element("ul", {}, ...lines, element("li", {}, "small dots: ends of a minimum; a hollow one is not part of it"));
  }
}

// The right end belongs to a step, the left one does not; the outer two have no end there.
function holds({ low, high }, b) {
  return (low === null || b > low) && (high === null || b <= high);
}

function stretch({ low, high }) {
  if (low === null) return `b ≤ ${high}`;
  return high === null ? `b > ${low}` : `(${low},\u00a0${high}]`; // in one line
}

function signed(error) {
  return error > 0 ? `+${error}` : String(error);
}

// The end of a tread or of a minimum: hollow where it does not belong to it.
function end(plot, x, y, colour, belongs, r = 2.5) {
  return plot.mark(x, y, { r, stroke: colour, "stroke-width": 1.5, fill: belongs ? colour : "var(--paper)" });
}

// Where b is: a triangle at the foot of a plot.
function handle(plot, b) {
  return plot.sign("triangle", b, plot.yRange[0], 7, { fill: TARGET, class: "errref-place" });
}
