// Choices: pick what the paper leaves open, and see what the recorded systems with these choices have found.
import { Plot, TARGET, assignTo, button, choice, element, group, legend, moving, panel, shape, slider, table, voice, write } from "./drawing.js";

const SETTINGS = ["function", "loss", "picked", "factor", "selected"];
const ANY = -1; // the option of a factor that is not picked
const MARGINS = { left: 46, right: 12 }; // of both plots, so that a system has the same place in both

export default moving(SETTINGS, (model, root) => new View(model, root));

// -- the rows ---------------------------------------------------------------------------------------------------------

// Records of small numbers, the k-th below the k-th radix, from the text that `packed` made of them in Python.
function unpacked(text, radices, alphabet) {
  const digits = new Map([...alphabet].map((character, k) => [character, k])), size = alphabet.length, records = [];
  const width = Math.ceil(Math.log(radices.reduce((a, b) => a * b)) / Math.log(size));
  for (let start = 0; start < text.length; start += width) {
    const characters = [...text.slice(start, start + width)];
    let number = characters.reduceRight((sum, character) => sum * size + digits.get(character), 0);
    const record = radices.map((radix) => {
      const digit = number % radix;
      number = (number - digit) / radix;
      return digit;
    });
    records.push(record);
  }
  return records;
}

function comb(n, k) {
  return k === 0 ? 1 : (comb(n - 1, k - 1) * n) / k;
}

// So many steps, the least first, from the number that `numbered` gave them in Python.
function selection(number, count) {
  const steps = [];
  for (let size = count; size > 0; size--) {
    let most = size - 1;
    while (comb(most + 1, size) <= number) most++;
    number -= comb(most, size);
    steps.unshift(most - size + 1);
  }
  return steps;
}

// A share for each step of a scale: its geometric middle, and for the two that have one end only, this end.
function middles({ parts, cuts }, [low, high]) {
  const equal = Array.from({ length: parts + 1 }, (_, k) => low * (high / low) ** (k / parts));
  const edges = [...equal, ...cuts].sort((a, b) => a - b);
  return [low, ...edges.slice(1).map((edge, k) => Math.sqrt(edges[k] * edge)), high];
}

class Study {
  constructor(fixed) {
    const { alphabet, shares, seeds, bases, axis } = fixed, losses = fixed.readings.map(([loss]) => loss);
    const factors = Object.fromEntries(fixed.factors);
    const each = (text, radices) => Object.fromEntries(Object.entries(text).map(([name, of]) => [name, unpacked(of, radices, alphabet)]));
    Object.assign(this, { fixed, losses, factors, names: Object.keys(factors) });
    Object.assign(this, { values: middles(shares, axis.ends), single: middles(seeds, axis.ends) });
    this.sets = unpacked(fixed.sets, Object.values(factors).map((levels) => levels.length), alphabet);
    this.shares = each(shares.text, losses.map(() => this.values.length));
    this.seeds = each(seeds.text, [comb(this.single.length + seeds.count - 1, seeds.count), bases.count]);
  }

  // Of each choice set: its step on the scale of shares, and its place in the order from the least reduction to the largest.
  read(name, loss) {
    const steps = this.shares[name].map((record) => record[this.losses.indexOf(loss)]), places = [];
    const order = [...steps.keys()].sort((a, b) => steps[b] - steps[a] || a - b);
    order.forEach((k, place) => (places[k] = place));
    return { steps, order, places, left: (k) => this.values[steps[k]] };
  }

  // The choice sets that match, and for each factor those that do if it may have any level.
  match(picked) {
    const wanted = Object.entries(picked).map(([name, value]) => [name, this.factors[name].findIndex(([level]) => level === value)]);
    const free = Object.fromEntries(this.names.map((name) => [name, []])), matching = new Set();
    this.sets.forEach((_, k) => {
      const off = wanted.filter(([name, level]) => this.level(k, name) !== level).map(([name]) => name);
      if (off.length === 0) matching.add(k);
      if (off.length < 2) for (const name of off.length ? off : this.names) free[name].push(k);
    });
    return { wanted: new Map(wanted), free, matching };
  }

  level(k, name) {
    return this.sets[k][this.names.indexOf(name)];
  }

  // Of one system, by the mean squared error: the share that each seed keeps, and the median loss of its general networks.
  squared(name, k) {
    const [number, base] = this.seeds[name][k], [low, step] = this.fixed.bases.scale[name];
    return { keep: selection(number, this.fixed.seeds.count).map((seed) => this.single[seed]), base: 10 ** (low + step * base) };
  }
}

// -- the figure -------------------------------------------------------------------------------------------------------

class View {
  constructor(model, root) {
    const fixed = model.get("_fixed"), study = new Study(fixed), count = study.sets.length, ends = fixed.axis.ends;
    Object.assign(this, { model, fixed, study, count, voice: voice() });
    const x = [1, count / 4, count / 2, (3 * count) / 4, count].map((place) => [place - 1, String(place)]);
    const range = [-0.02 * count, 1.03 * count], options = (height, y) => ({ size: { ...MARGINS, height }, marked: { x, y } });
    const layers = ["lines", "others", "matches", "seeds", "marks"], shares = options(270, fixed.axis.marks);
    this.curve = new Plot("The curve", layers, range, [ends[1], ends[0]], { log: "y", ...shares });
    this.strip = new Plot("The levels of a factor", ["lanes"], range, [0, 1], options(170, []));
    this.curve.root.classList.add("errref-pick");
    this.curve.root.addEventListener("click", (event) => this.pick(this.curve.where(event)));
    this.makeControls();
    this.words = element("p", { class: "errref-words" });
    this.drops = element("div", { class: "errref-buttons" });
    this.keys = element("ul");
    this.choices = element("ul", { class: "errref-choices" });
    this.losses = element("p", { class: "errref-sums" });
    this.readings = table("The selected system, and how many of all do worse, alike and better");
    this.system = element("div", {}, this.readings.root, this.losses);
    const { system, walk, factor } = this.controls;
    root.append(
      element("div", { class: "errref-controls" }, ...this.groups),
      element("div", { class: "errref-status" }, this.words, this.voice.root),
      this.drops,
      element(
        "div",
        { class: "errref-plots" },
        panel("Systems by their reduction", this.curve, this.keys, system.root, walk.root, this.choices),
        element("div", {}, panel("One factor, the others as picked", this.strip, factor.root), this.system),
      ),
      element("p", { class: "errref-note" }, fixed.note),
    );
  }

  close() {
    this.voice.quiet();
  }

  makeControls() {
    const { functions, groups, readings } = this.fixed, { names, factors } = this.study;
    const set = (name) => (value) => assignTo(this.model, { [name]: value }), same = (list) => list.map((name) => [name, name]);
    const levels = (name) => [[ANY, "any"], ...factors[name].map(([, words], level) => [level, words])];
    const picks = names.map((name) => [name, choice(name, levels(name), (level) => this.set(name, Number(level)))]);
    const step = (by) => () => set("selected")(this.matches[Math.min(Math.max(this.nth + by, 0), this.matches.length - 1)]);
    const usual = Object.fromEntries(names.map((name) => [name, factors[name][0][0]]));
    this.controls = {
      function: choice("function", same(functions), set("function")),
      loss: choice("loss", readings, set("loss")),
      factor: choice("levels of", same(names), set("factor")),
      system: slider("system", [0], (k) => `${this.matches.indexOf(k) + 1} of ${this.matches.length}`, set("selected")),
      walk: row(button("worse", step(-1)), button("better", step(1))),
      picks: Object.fromEntries(picks),
    };
    const any = button("any for all", () => assignTo(this.model, { picked: {} }));
    const own = button("the default", () => assignTo(this.model, { picked: usual, selected: 0 }));
    this.groups = [
      group("What is read", this.controls.function, this.controls.loss, row(any, own)),
      ...groups.map(([title, of]) => group(title, ...of.map((name) => this.controls.picks[name]))),
    ];
  }

  // Another level of a factor, or any.
  set(name, level) {
    const { [name]: _, ...picked } = this.model.get("picked");
    if (level !== ANY) picked[name] = this.study.factors[name][level][0];
    assignTo(this.model, { picked, factor: name });
  }

  // The matching system whose dot is the nearest.
  pick({ x, y }) {
    const { curve, places, left } = this, far = (k) => Math.hypot(curve.px(places[k]) - curve.px(x), curve.py(left(k)) - curve.py(y));
    if (this.matches.length) assignTo(this.model, { selected: this.matches.reduce((best, k) => (far(k) < far(best) ? k : best)) });
  }

  refresh() {
    const [name, loss, picked, factor, selected] = SETTINGS.map((setting) => this.model.get(setting)), { study, controls } = this;
    const match = study.match(picked);
    Object.assign(this, { name, loss, match }, study.read(name, loss));
    this.matches = this.order.filter((k) => match.matching.has(k));
    this.nth = match.matching.has(selected) ? this.matches.indexOf(selected) : (this.matches.length - 1) >> 1;
    this.shown = this.matches.at(this.nth) ?? null;
    controls.function.show(name);
    controls.loss.show(loss);
    controls.factor.show(factor);
    this.showPicks();
    this.showCurve();
    this.showLevels(factor);
    this.showSystem();
    const one = this.shown === null ? "" : ` Selected: ${this.reduction(this.left(this.shown))}.`;
    this.voice.say(this.words.textContent + one);
  }

  // What is picked, and how many systems match; each option and each button says how many would.
  showPicks() {
    const { study, fixed, controls, match, matches, steps, count } = this, printed = fixed.printed[this.name];
    for (const [name, levels] of Object.entries(study.factors)) {
      const free = match.free[name], count = (level) => free.filter((k) => study.level(k, name) === level).length;
      controls.picks[name].say([`any (${free.length})`, ...levels.map(([, words], level) => `${words} (${count(level)})`)]);
      controls.picks[name].show(match.wanted.get(name) ?? ANY);
    }
    const reach = ({ words, reach: most }) => `${words}: ${matches.filter((k) => steps[k] <= most).length}`;
    const marks = [`by ${reach(fixed.ninety)}`, ...(printed ? [`by the printed ${reach(printed)}`] : [])].join("; ");
    const found = `${matches.length} of ${count} systems match: ${this.gain(matches)}; ${marks}.`;
    const none = "No recorded system has all of these choices. Each button drops one of them, and says how many then match.";
    write(this.words, matches.length ? found : none);
    const drop = ([name, level]) =>
      button(`drop ${name}: ${study.factors[name][level][1]} (${match.free[name].length})`, () => {
        this.set(name, ANY);
        controls.picks[name].root.querySelector("select").focus({ preventScroll: true });
      }).root;
    this.drops.replaceChildren(...[...match.wanted].map(drop));
  }

  showCurve() {
    const { curve, fixed, loss, name, places, left, order, matches, match, shown } = this, { colours, printed } = fixed;
    const dots = (sets, attributes) => curve.dots(sets.map((k) => places[k]), sets.map(left), { fill: "none", ...attributes });
    const { width, height } = curve.inner;
    curve.draw("lines", shape("path", { d: `M0,${curve.py(1)}H${width}`, class: "errref-axis" }), this.border(curve, 0, height));
    const others = order.filter((k) => !match.matching.has(k));
    curve.draw("others", dots(others, { stroke: TARGET, "stroke-opacity": 0.4, "stroke-width": 1.5 }));
    curve.draw("matches", dots(matches, { stroke: colours.general, "stroke-width": 4 }));
    const seeds = loss === "squared" && shown !== null;
    curve.draw("seeds", ...(seeds ? [this.crossbars(shown)] : []));
    const ring = { r: 6.5, fill: "none", stroke: TARGET, "stroke-width": 2, class: "errref-selected" };
    curve.draw(
      "marks",
      curve.mark(places[0], left(0), { r: 4.5, fill: colours.reflection, class: "errref-default" }),
      ...(name in printed ? [this.diamond(printed[name])] : []),
      ...(shown === null ? [] : [curve.mark(places[shown], left(shown), ring)]),
    );
    const one = shown === null ? "" : `; the selected one has the reduction ${this.reduction(left(shown))}`;
    const what = `Reduction of the loss, ${Object.fromEntries(fixed.readings)[loss]}, on ${name}, ${this.count} systems in its order`;
    curve.describe(`${what}: ${matches.length} match: ${this.gain(matches)}${one}.`);
    const keys = [
      "small dots: the others",
      shown !== null && "ring: the selected one",
      seeds && "crossbars: its seeds",
      name in printed && "diamond: the printed reduction",
      "right of the dashed line: loss lower",
    ];
    const told = keys.filter(Boolean).map((text) => element("li", {}, text));
    const lines = [legend(colours.general, "large dots: systems that match"), legend(colours.reflection, "the default")];
    this.keys.replaceChildren(...lines, ...told);
  }

  // Where the systems begin that lower the loss.
  border(plot, top, height) {
    const x = plot.px(this.count - this.lower(this.order) - 0.5).toFixed(1);
    return shape("path", { d: `M${x},${top}v${height}`, class: "errref-border" });
  }

  crossbars(k) {
    const { curve } = this, x = curve.px(this.places[k]).toFixed(1), { keep } = this.study.squared(this.name, k);
    const at = keep.map((value) => curve.py(value).toFixed(1));
    const d = `M${x},${at[0]}V${at.at(-1)}${at.map((y) => `M${x - 5},${y}h10`).join("")}`;
    return shape("path", { d, stroke: TARGET, "stroke-width": 1.5 });
  }

  // The paper's mark, at the place in the order that its printed reduction would have.
  diamond({ share, better }) {
    const { curve } = this, x = curve.px(this.steps.filter((step) => step > better).length), y = curve.py(share);
    const d = `M${x.toFixed(1)},${(y - 6).toFixed(1)}l6,6l-6,6l-6,-6z`;
    return shape("path", { d, fill: "#fff", stroke: "#000", class: "errref-printed" });
  }

  // A lane for each level, with the places of its systems, all other choices as picked.
  showLevels(factor) {
    const { strip, study, fixed, match, places } = this, levels = study.factors[factor], high = strip.inner.height / levels.length;
    const lanes = levels.map(([, words], level) => {
      const sets = match.free[factor].filter((k) => study.level(k, factor) === level);
      const lit = (match.wanted.get(factor) ?? level) === level;
      const d = sets.map((k) => `M${strip.px(places[k]).toFixed(1)},${high * level + 16}v${high - 20}`).join("");
      const colour = lit ? { stroke: fixed.colours.general } : { stroke: TARGET, "stroke-opacity": 0.4 };
      return [`${words}: ${this.gain(sets)}`, shape("path", { d, ...colour }), this.border(strip, high * level + 16, high - 20)];
    });
    const title = (words, level) => shape("text", { x: 2, y: high * level + 12 }, words);
    strip.draw("lanes", ...lanes.flatMap(([words, ...shapes], level) => [title(words, level), ...shapes]));
    strip.describe(`Levels of ${factor}, the other choices as picked: ${lanes.map(([words]) => words).join("; ")}.`);
  }

  showSystem() {
    const { study, fixed, name, shown, matches, controls } = this;
    for (const part of [this.system, this.choices, controls.system.root, controls.walk.root]) part.hidden = shown === null;
    if (shown === null) return;
    controls.system.offer(matches);
    controls.system.show(shown);
    const rows = fixed.readings.map(([loss, words]) => {
      const { steps, left } = study.read(name, loss), count = (test) => String(steps.filter((step) => test(step - steps[shown])).length);
      return [words, this.reduction(left(shown)), count((off) => off > 0), count((off) => off === 0), count((off) => off < 0)];
    });
    this.readings.show(["", "reduction", "worse", "alike", "better"], rows);
    const { keep, base } = study.squared(name, shown), value = study.read(name, study.losses[0]).left(shown);
    const [low, high] = fixed.axis.ends, beyond = value <= low ? `less than 1/${Math.round(1 / low)} of that` : `more than ${high} times that`;
    const after = value > low && value < high ? digits(base * value) : beyond;
    const medians = `medians ${digits(base)} of the general network, ${after} with error reflection`;
    const each = keep.reverse().map((one) => this.reduction(one)).join(", ");
    write(this.losses, `Mean squared error: ${medians}; reductions of the ${keep.length} seeds, from the least, ${each}.`);
    const words = (factor) => study.factors[factor][study.level(shown, factor)][1];
    this.choices.replaceChildren(...study.names.map((factor) => element("li", {}, `${factor}: ${words(factor)}`)));
  }

  lower(sets) {
    return sets.filter((k) => this.steps[k] <= this.fixed.lower).length;
  }

  gain(sets) {
    const lower = this.lower(sets), words = `${lower} of ${sets.length} lower the loss`;
    return sets.length ? `${words} (${Math.round((100 * lower) / sets.length)} %)` : "no system";
  }

  // The reduction that leaves a share of the loss, the share with two digits; beyond the ends of the axis, on which side.
  reduction(value) {
    const [low, high] = this.fixed.axis.ends, of = (kept) => `${Number((100 * (1 - kept)).toPrecision(4))} %`;
    if (value <= low) return `> ${of(low)}`;
    if (value >= high) return `< ${of(high)}`;
    return of(Number(value >= 1 && value < 2 ? value.toFixed(2) : value.toPrecision(2)));
  }
}

// A loss with two digits.
function digits(value) {
  return value < 0.01 ? value.toExponential(1) : String(Number(value.toPrecision(2)));
}

// Buttons side by side.
function row(...buttons) {
  return { root: element("div", { class: "errref-buttons" }, ...buttons.map(({ root }) => root)) };
}
