// Cases of the image study: pictures by set and cluster, who answers under a protocol, and what every network says.
import { assignTo, choice, counted, element, group, moving, panel, shape, table, voice, write } from "./drawing.js";

const SIDE = 28, GREYS = 16; // pixels of a picture; shades
const CHART = { width: 360, left: 82, top: 40, row: 17, foot: 20 }; // units of the picture
const NOBODY = 255; // the route -1 as a byte
const LEAST = 5; // per cent that a bar has to have for its number to be written
const MARKS = { true: "M1,5.5l3,3l5,-7.5", false: "M1.5,1.5l7,7m0,-7l-7,7" }; // right and wrong, in a square of 10

export default moving(["images", "cluster", "protocol", "picked"], (model, root) => new View(model, root));

class View {
  constructor(model, root) {
    Object.assign(this, { model, fixed: model.get("_fixed"), cases: unpacked(model.get("_fixed")) });
    const { sets, protocols, networks, trained } = this.fixed, named = (all) => all.map(({ name, words }) => [name, words]);
    const clusters = Array.from({ length: networks }, (_, k) => [k, k ? `cluster ${k}` : "all"]);
    this.controls = {
      images: choice("images", named(sets), (images) => assignTo(model, { images, cluster: 0, picked: 0 })),
      cluster: choice("cluster", clusters, (cluster) => assignTo(model, { cluster: Number(cluster), picked: 0 })),
      protocol: choice("protocol", named(protocols), (protocol) => assignTo(model, { protocol })),
    };
    this.says = element("p");
    this.sees = element("p");
    this.gallery = element("div", { class: "errref-gallery", role: "group", "aria-label": "pictures" });
    this.gallery.addEventListener("keydown", (event) => this.move(event));
    this.large = this.picture();
    this.facts = element("ul", { class: "errref-facts" });
    this.chart = shape("svg", { role: "img" });
    this.closer = element(
      "div",
      { class: "errref-closer" },
      element("div", { class: "errref-large" }, this.large, this.facts),
      panel("What every network says", { root: this.chart }),
    );
    this.table = table(`Right answers in whole sets, not only among the images shown: one run, trained on ${counted(trained)} images`);
    this.table.root.classList.add("errref-counts");
    this.voice = voice();
    const { images, cluster, protocol } = this.controls;
    const [which, who] = [group("Which images", images, cluster, { root: this.says }), group("Who answers", protocol, { root: this.sees })];
    root.append(
      element("div", { class: "errref-controls" }, which, who),
      element("div", { class: "errref-study" }, this.gallery, this.closer),
      this.table.root,
      this.voice.root,
    );
  }

  close() {
    this.voice.quiet();
  }

  refresh() {
    const { model, fixed, controls } = this, place = (all, name) => all.findIndex((one) => one.name === model.get(name));
    for (const [name, { show }] of Object.entries(controls)) show(model.get(name));
    const set = fixed.sets[place(fixed.sets, "images")], one = set.clustered && model.get("cluster");
    Object.assign(this, { set, who: place(fixed.protocols, "protocol") });
    controls.cluster.root.hidden = !set.clustered;
    write(this.says, set.says);
    write(this.sees, fixed.protocols[this.who].sees);
    if (this.built !== `${set.name} ${one}`) this.build(set, one ? [one - 1] : [...set.kept.keys()]);
    this.built = `${set.name} ${one}`;
    this.show(Math.min(model.get("picked"), this.tiles.length - 1), one);
  }

  // The picture at a place among those of the grid; -1 if there is none.
  show(place, one) {
    this.tiles.forEach((tile, k) => this.mark(tile, k === place));
    this.closer.hidden = place < 0;
    const words = place < 0 ? "This set is empty." : this.showCase(this.tiles[place].number);
    this.voice.say(`${words} ${this.count(this.set, one)}`);
  }

  // The grid: the pictures that are kept of each block, and how many there are.
  build(set, blocks) {
    this.tiles = [];
    const parts = blocks.flatMap((k) => {
      const kept = set.kept[k], [n] = set.counts[k];
      const words = kept.length < n ? `the first ${kept.length} of ${counted(n)}` : `all ${n}`;
      const head = set.clustered ? [chip(this.fixed.colours[k + 1], String(k + 1)), ` cluster ${k + 1}: ${words}`] : [words];
      return [element("p", {}, ...head), element("div", { class: "errref-cases" }, ...kept.map((number) => this.tile(number)))];
    });
    this.gallery.replaceChildren(...parts);
  }

  tile(number) {
    const place = this.tiles.length, strip = element("span", { class: "errref-strip" });
    const root = element("button", { type: "button", class: "errref-case" }, this.picture(number), strip);
    root.addEventListener("click", () => assignTo(this.model, { picked: place }));
    this.tiles.push({ root, strip, number, place });
    return root;
  }

  // Who answers an image, and whether that is right; the one that is picked is reached by the tabulator key.
  mark({ root, strip, number, place }, picked) {
    const { who, right, words } = this.answer(number);
    strip.style.background = who < 0 ? "none" : this.fixed.colours[who];
    strip.dataset.network = who;
    const sign = shape("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, shape("path", { d: MARKS[right] }));
    strip.replaceChildren(who < 0 ? "–" : letter(who), element("span", {}, sign));
    root.setAttribute("aria-label", `picture ${place + 1}, ${this.label(number)}; ${words}`);
    root.setAttribute("aria-pressed", picked);
    root.dataset.right = right;
    root.tabIndex = picked ? 0 : -1;
  }

  move(event) {
    const from = this.tiles.findIndex(({ root }) => root === document.activeElement), to = this.next(from, event.key);
    if (from < 0 || to === undefined) return;
    event.preventDefault();
    assignTo(this.model, { picked: to });
    this.tiles[to].root.focus();
  }

  // The place that a key leads to: along the pictures, or to the nearest one of the next row.
  next(from, key) {
    const last = this.tiles.length - 1, boxes = this.tiles.map(({ root }) => root.getBoundingClientRect()), here = boxes[from];
    if (key === "Home" || key === "End") return key === "Home" ? 0 : last;
    if (key === "ArrowLeft" || key === "ArrowRight") return Math.min(Math.max(from + (key === "ArrowLeft" ? -1 : 1), 0), last);
    if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
    const down = key === "ArrowDown" ? 1 : -1;
    const height = ({ top }) => down * (top - here.top), aside = ({ left }) => Math.abs(left - here.left);
    const ahead = [...boxes.keys()].filter((k) => height(boxes[k]) > 1);
    return ahead.sort((a, b) => height(boxes[a]) - height(boxes[b]) || aside(boxes[a]) - aside(boxes[b]))[0] ?? from;
  }

  // What the protocol makes of an image.
  answer(number) {
    const { networks, classes } = this.fixed, { labels, answers, routes } = this.cases, route = routes[number][this.who];
    const who = route === NOBODY ? -1 : route;
    if (who < 0) return { who, right: false, words: `none of the ${networks} networks is right` };
    const said = answers[number][who], right = said === labels[number];
    return { who, right, words: `${long(who)} says ${classes[said]}, ${right ? "right" : "wrong"}` };
  }

  showCase(number) {
    const { words } = this.answer(number), cluster = this.cases.clusters[number];
    const near = cluster ? `nearest cluster: ${cluster}` : "no error case, so no cluster";
    const facts = [`${this.set.source} image ${this.fixed.cases.index[number]} of this run`, `label: ${this.label(number)}`, near, words];
    this.picture(number, this.large);
    this.facts.replaceChildren(...facts.map((fact) => element("li", {}, fact)));
    this.drawChart(number);
    return `${this.label(number)}: ${words}.`;
  }

  // A bar for each network and each class; the network that answers stands in a frame.
  drawChart(number) {
    const { classes, networks } = this.fixed, { labels, answers, proba } = this.cases, { who } = this.answer(number);
    const { width, left, top, row, foot } = CHART, height = top + row * classes.length + foot, column = (width - left) / networks;
    const head = { x: left - 6, "text-anchor": "end" }, label = labels[number];
    const heads = classes.map((words, c) => {
      const own = c === label ? { ...head, "font-weight": 700 } : head;
      return shape("text", { ...own, y: top + row * c + 12 }, c === label ? `▸ ${words}` : words);
    });
    heads.push(shape("text", { ...head, y: 32 }, "gate"), shape("text", { ...head, y: height - 6 }, "right?"));
    const parts = [shape("rect", { x: 0, y: top + row * label, width, height: row, class: "errref-true" })];
    for (let k = 0; k < networks; k++) parts.push(...this.column(number, k, left + column * k, column, height));
    const box = { x: left + column * who + 0.75, y: 0.75, width: column - 1.5, height: height - 1.5 };
    if (who >= 0) parts.push(shape("rect", { ...box, class: "errref-asked", "data-network": who }));
    this.chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.chart.replaceChildren(shape("g", {}, ...heads), shape("svg", {}, ...parts));
    const said = answers[number].map((c, k) => `${long(k)} says ${classes[c]} with ${hundredths(proba[number][k][c])}`);
    this.chart.setAttribute("aria-label", `A picture of class ${this.label(number)}. ${said.join("; ")}.`);
  }

  // One network: its name, the gate's probability of it, its bars, and whether it is right.
  column(number, k, x, width, height) {
    const { colours } = this.fixed, { gate, proba, answers, labels } = this.cases, { top, row } = CHART;
    const room = width > 38; // for numbers too
    const middle = { x: x + width / 2, "text-anchor": "middle" }, right = answers[number][k] === labels[number];
    const parts = [
      shape("rect", { x: middle.x - 9, y: 4, width: 18, height: 15, rx: 2, fill: colours[k] }),
      shape("text", { ...middle, y: 15.5, class: "errref-who", "data-network": k }, letter(k)),
      shape("text", { ...middle, y: 32, "data-gate": k }, hundredths(gate[number][k])),
      shape("path", { d: MARKS[right], class: "errref-mark", transform: `translate(${middle.x - 5},${height - 15})`, "data-right": right }),
    ];
    proba[number][k].forEach((value, c) => {
      const y = top + row * c, size = ((value / 100) * (width - (room ? 32 : 8))).toFixed(1);
      const of = { "data-network": k, "data-class": c, "data-value": value };
      parts.push(shape("rect", { x: x + 4, y: y + 4, width: size, height: row - 8, fill: colours[k], ...of }));
      if (room && value >= LEAST) parts.push(shape("text", { x: x + 6 + Number(size), y: y + 12 }, hundredths(value)));
    });
    return parts;
  }

  // How many of the whole set, or of one cluster of it, are right under each protocol; the chosen one's in words.
  count(set, one) {
    const { protocols, test } = this.fixed, blocks = one ? [set.counts[one - 1]] : set.counts;
    const [n, ...right] = blocks.reduce((a, b) => a.map((value, k) => value + b[k])), [all, ...ofAll] = test;
    const cell = (value, of) => (of ? `${counted(value)} (${((100 * value) / of).toFixed(1)} %)` : "–");
    const head = ["", `${set.words}${one ? `, cluster ${one}` : ""}: n = ${counted(n)}`, `all test images: n = ${counted(all)}`];
    this.table.show(head, protocols.map(({ words }, k) => [words, cell(right[k], n), cell(ofAll[k], all)]));
    this.table.root.tBodies[0].rows[this.who].setAttribute("aria-current", "true");
    return `${protocols[this.who].words}: ${counted(right[this.who])} of ${counted(n)} right.`;
  }

  label(number) {
    return this.fixed.classes[this.cases.labels[number]];
  }

  // A picture of dark ink on white paper, as the still figures have it.
  picture(number, canvas = element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" })) {
    if (number === undefined) return canvas;
    const context = canvas.getContext("2d"), image = context.createImageData(SIDE, SIDE);
    this.cases.pixels[number].forEach((ink, i) => image.data.set([...Array(3).fill(255 - (255 / (GREYS - 1)) * ink), 255], 4 * i));
    context.putImageData(image, 0, 0);
    return canvas;
  }
}

// What is kept of each image, from the bytes that a notebook stores.
function unpacked({ cases, networks, classes, protocols }) {
  const bytes = (text) => Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const rows = (values, size) => Array.from({ length: values.length / size }, (_, k) => values.slice(k * size, (k + 1) * size));
  return {
    pixels: rows(bytes(cases.pixels).flatMap((both) => [both >> 4, both % GREYS]), SIDE * SIDE),
    labels: bytes(cases.labels),
    clusters: bytes(cases.clusters),
    answers: rows(bytes(cases.answers), networks),
    gate: rows(bytes(cases.gate), networks),
    routes: rows(bytes(cases.routes), protocols.length),
    proba: rows(rows(bytes(cases.proba), classes.length), networks),
  };
}

function letter(k) {
  return k ? String(k) : "G";
}

function long(k) {
  return k ? `expert ${k}` : "the general network";
}

function hundredths(percent) {
  return (percent / 100).toFixed(2);
}

function chip(colour, words) {
  return element("span", { class: "errref-chip", style: `background: ${colour}` }, words);
}
