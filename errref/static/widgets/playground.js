// The playground: pick or draw a function, set what error reflection leaves open, and watch it train.
import { Plot, TARGET, assignTo, band, choice, counted, drag, element, group, legend, moving, networkColour, panel, range, trainingState } from "./drawing.js";
import { shape, short, slider, sparse, table, thread, voice, write } from "./drawing.js";

const SETTINGS = [
  ...["function", "drawn", "hidden", "steps", "learning_rate", "seed"],
  ...["rule", "share", "factor", "n_clusters", "min_samples", "max_std", "min_distance"],
];
const HIGHEST = 1.5; // of what is drawn

export default moving(SETTINGS, (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, root, latest: 0, shown: 0, system: null });
    this.fixed = model.get("_fixed");
    this.worker = thread(model.get("_engine"), (message) => this.receive(message), (words) => this.fail(words));
    this.controls = controls(this.fixed, (name, value) => this.change({ [name]: value }), () => model.get("drawn"));
    this.before = new Plot("Before: not trained yet", ["target", "other", "answer", "errors", "handle"], [-1, 1], [-1, 1]);
    this.after = new Plot("After: not trained yet", ["target", "other", "rival", "answer", "gate"], [-1, 1], [-1, 1]);
    drag(this.before, () => model.get("function") === "drawn", (from, to) => this.stroke(from, to));
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "progress of the training" });
    this.words = element("p", { class: "errref-words" });
    this.voice = voice();
    this.keys = [element("ul"), element("ul")];
    this.table = table("Mean squared error on the line");
    root.append(
      element("div", { class: "errref-controls" }, ...this.controls.groups),
      element("div", { class: "errref-status" }, this.progress, this.words, this.voice.root),
      element(
        "div",
        { class: "errref-plots" },
        panel("Before: the general network", this.before, this.keys[0]),
        panel("After: error reflection", this.after, this.keys[1]),
      ),
      this.table.root,
    );
  }

  close() {
    this.voice.quiet();
    this.worker.terminate();
  }

  change(values) {
    if (values.function === "drawn" && this.model.get("function") !== "drawn") values.drawn = this.traced();
    assignTo(this.model, values);
  }

  settings() {
    const settings = Object.fromEntries(SETTINGS.map((name) => [name, this.model.get(name)]));
    const { functions, n_samples, n_test } = this.fixed;
    return { ...settings, pieces: functions[settings.function] ?? null, n_samples, n_test };
  }

  // The present target at the knots: where drawing starts.
  traced() {
    const pieces = this.fixed.functions[this.model.get("function")];
    return this.model.get("drawn").map((_, k, { length }) => {
      const x = -1 + (2 * k) / (length - 1), terms = pieces[x < 0 ? 0 : 1];
      return height(terms.reduceRight((sum, coefficient) => sum * x + coefficient, 0));
    });
  }

  // The pointer went from one place to another: the knots below its way follow.
  stroke(from, to) {
    const drawn = [...this.model.get("drawn")], last = drawn.length - 1, place = (x) => Math.round(((x + 1) / 2) * last);
    const [a, b] = from.x <= to.x ? [from, to] : [to, from];
    for (let k = Math.max(place(a.x), 0); k <= Math.min(place(b.x), last); k++) {
      const x = (2 * k) / last - 1, share = b.x > a.x ? Math.min(Math.max((x - a.x) / (b.x - a.x), 0), 1) : 1;
      const y = b.x > a.x ? a.y + share * (b.y - a.y) : to.y;
      drawn[k] = height(y);
    }
    this.change({ drawn });
  }

  // Show the settings, and ask for the system that belongs to them.
  refresh() {
    const settings = this.settings();
    this.controls.show(settings);
    this.root.classList.toggle("errref-drawing", settings.function === "drawn");
    if (JSON.stringify(settings) === JSON.stringify(this.asked)) return; // one of several values that were set at once
    this.voice.quiet();
    this.root.dataset.state = "training";
    this.worker.postMessage({ id: ++this.latest, kind: "system", settings });
    this.asked = settings;
  }

  receive(message) {
    const current = message.id === this.latest;
    if (message.kind === "error" && current) this.fail(message.text);
    if (message.kind === "progress" && current) this.showProgress(message);
    if (message.kind === "system" && message.id > this.shown) this.showSystem(message, current);
    if (message.kind === "rival" && current) this.showRival(message);
  }

  fail(words) {
    write(this.words, words);
    this.progress.value = 0;
    for (const plot of [this.before, this.after]) plot.clear(words);
    for (const key of this.keys) key.replaceChildren();
    this.table.show([""], []);
    this.root.dataset.state = "error";
    this.voice.say(words);
  }

  showProgress(message) {
    const { network, x, curve } = message, [part, words] = trainingState(message);
    this.progress.value = part;
    write(this.words, words);
    const [plot, colour] = network ? [this.after, this.colour(network)] : [this.before, this.colour(0)];
    plot.draw("other", thin(plot, x, curve, { stroke: colour, "stroke-dasharray": "2 3" }));
  }

  showSystem(system, current) {
    Object.assign(this, { system, shown: system.id });
    const { x, y, each, who, samples, labels, centers, losses, milliseconds, size, drawn } = system;
    const range = drawn && y.every((value) => Math.abs(value) <= HIGHEST) ? [-1.1 * HIGHEST, 1.1 * HIGHEST] : padded(y);
    for (const plot of [this.before, this.after]) {
      plot.setRanges([-1, 1], range);
      plot.draw("target", thin(plot, x, y, { stroke: TARGET, "stroke-width": 5, "stroke-opacity": 0.25 }));
      plot.draw("other");
    }
    this.before.draw("answer", thin(this.before, x, each[0], { stroke: this.colour(0) }));
    this.before.draw("errors", ...this.errorCases(samples), ...this.centres(centers));
    this.after.draw("other", ...each.map((curve, k) => thin(this.after, x, curve, { stroke: this.colour(k), "stroke-opacity": 0.3 })));
    const answers = each.map((curve, k) => thin(this.after, x, curve, { stroke: this.colour(k), "stroke-width": 2.5 }, (i) => who[i] === k));
    this.after.draw("answer", ...answers);
    this.after.draw("gate", ...band(this.after, who, this.fixed.colours));
    this.after.draw("rival");
    this.describe(samples.x.length, size - 1, labels, centers.length > 0);
    this.tabulate(losses);
    this.progress.value = 1;
    write(this.words, `${size} networks trained in ${Math.round(milliseconds)} ms`);
    Object.assign(this.root.dataset, { milliseconds: milliseconds.toFixed(1), systems: Number(this.root.dataset.systems ?? 0) + 1 });
    if (!current) return;
    this.root.dataset.state = "system";
    const request = { id: this.latest, kind: "rival", settings: this.asked, size };
    this.voice.atRest(() => {
      write(this.voice.root, `Loss of the general network ${short(losses.general)}, of error reflection ${short(losses.reflection)}.`);
      this.worker.postMessage(request);
    });
  }

  showRival({ x, curve, loss, width }) {
    this.after.draw("rival", thin(this.after, x, curve, { stroke: this.fixed.colours.control, "stroke-dasharray": "5 3" }));
    this.tabulate({ ...this.system.losses, rival: loss }, width);
    this.root.dataset.state = "rival";
  }

  colour(k) {
    return networkColour(this.fixed.colours, k);
  }

  // Each sample on the target; error cases are lit in the colour of their cluster.
  errorCases({ x, y, routes, errors }) {
    return Array.from(x, (at, i) => {
      if (!errors[i]) return this.before.mark(at, y[i], { r: 1, fill: TARGET, "fill-opacity": 0.5 });
      return this.before.mark(at, y[i], { fill: this.colour(routes[i]), class: "errref-error" });
    });
  }

  // ISODATA's centres, as triangles on the axis.
  centres(centers) {
    return centers.map((center, k) => {
      const [x, y] = [this.before.px(center), this.before.inner.height];
      return shape("path", { d: `M${x - 6},${y}h12l-6,-11z`, fill: this.colour(k + 1), stroke: TARGET, class: "errref-centre" });
    });
  }

  describe(n, count, labels, clustered) {
    const cases = labels.length;
    const sizes = Array.from({ length: count }, (_, k) => labels.filter((label) => label === k).length);
    const clusters = count === 1 ? "one cluster" : `${count} clusters of ${sizes.join(", ")}`;
    const words = cases ? `${cases} of ${n} samples are error cases, in ${clusters}` : "there is no error case";
    this.before.describe(`Target and general network against x; ${words}.`);
    this.after.describe("Target and answer of the whole system against x, coloured by who answers.");
    this.keys[0].replaceChildren(
      legend(TARGET, "target"),
      legend(this.colour(0), "general network"),
      element("li", {}, `dots: ${words}`),
      ...(clustered ? [element("li", {}, "triangles: ISODATA's centres")] : []),
    );
    this.keys[1].replaceChildren(
      legend(this.colour(0), "G: general network"),
      ...sizes.map((_, k) => legend(this.colour(k + 1), `${k + 1}: expert ${k + 1}`)),
      legend(this.fixed.colours.control, "rival of equal size", "dashed"),
      element("li", {}, "band: who answers"),
    );
  }

  tabulate(losses, width = null) {
    const { hidden, size } = this.system, each = 3 * hidden + 1, alone = losses.general;
    const row = (name, numbers, loss = "…") => {
      const ratio = loss === "…" || alone === 0 ? "…" : `${short(loss / alone)} ×`;
      return [name, String(numbers), loss, ratio];
    };
    const rival = width === null ? "one wide network" : `one network of width ${width}`;
    this.table.show(["", "trained numbers", "loss", "of the first"], [
      row("general network", each, alone),
      row("error reflection", size * each, losses.reflection),
      row(rival, width === null ? "…" : 3 * width + 1, losses.rival),
    ]);
  }
}

// What can be drawn: no higher than the control reaches, and in steps that a reader can see.
function height(y) {
  return Number(Math.min(Math.max(y, -HIGHEST), HIGHEST).toFixed(2));
}

function thin(plot, x, y, attributes, where = () => true) {
  const at = sparse([...x.keys()]);
  return plot.curve(sparse(x), sparse(y), attributes, (k) => where(at[k]));
}

function padded(values) {
  const low = Math.min(...values), high = Math.max(...values), room = Math.max(0.15 * (high - low), 0.1);
  return [low - 1.8 * room, high + room]; // more room below, for the band and the triangles
}

// All controls; `show` sets them to some settings.
function controls({ functions, knots }, onChange, drawn) {
  const plain = String, own = (value) => (value === null ? "default" : String(value));
  const make = (name, label, values, format = plain) => [name, slider(label, values, format, (value) => onChange(name, value))];
  const sliders = Object.fromEntries([
    make("hidden", "width", range(2, 50, 1)),
    make("steps", "steps", [0, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000], counted),
    make("learning_rate", "learning rate", [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], short),
    make("seed", "seed", range(0, 99, 1)),
    make("share", "worst share", range(0.05, 1, 0.05)),
    make("factor", "times the RMS error", range(0.25, 3, 0.25)),
    make("n_clusters", "aimed clusters", range(1, 8, 1)),
    make("min_samples", "fewest samples", range(1, 40, 1)),
    make("max_std", "largest deviation", [null, ...range(0.05, 1, 0.05)], own),
    make("min_distance", "least distance", [null, ...range(0, 1, 0.05)], own),
  ]);
  const target = choice("function", [...Object.keys(functions).map((name) => [name, name]), ["drawn", "drawn by you"]], (v) => onChange("function", v));
  const rule = choice("rule", [["share", "the worst share"], ["rms", "above a multiple of RMS"]], (v) => onChange("rule", v));
  let knot = knots >> 1;
  const point = slider("point", range(0, knots - 1, 1), (k) => `x = ${short((2 * k) / (knots - 1) - 1)}`, (k) => {
    knot = k;
    showPoint();
  });
  const level = slider("height there", range(-HIGHEST, HIGHEST, 0.05), short, (value) => onChange("drawn", drawn().with(knot, value)));
  const showPoint = () => {
    point.show(knot);
    level.show(drawn()[knot]);
  };
  const { hidden, steps, learning_rate, seed, share, factor, n_clusters, min_samples, max_std, min_distance } = sliders;
  const groups = [
    group("Target", target, point, level),
    group("Networks", hidden, steps, learning_rate, seed),
    group("Error cases", rule, share, factor),
    group("ISODATA", n_clusters, min_samples, max_std, min_distance),
  ];
  const show = (settings) => {
    for (const [name, control] of Object.entries(sliders)) control.show(settings[name]);
    target.show(settings.function);
    rule.show(settings.rule);
    showPoint();
    for (const { root } of [point, level]) root.hidden = settings.function !== "drawn";
    [share.root.hidden, factor.root.hidden] = [settings.rule !== "share", settings.rule !== "rms"];
  };
  return { groups, show };
}
