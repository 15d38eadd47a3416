// What all moving figures share: elements, plots in SVG, controls with their labels.

export const TARGET = "currentColor"; // black on white, white on black
const PLOT = { width: 360, height: 230, left: 34, right: 8, top: 8, bottom: 24 }; // units of the picture
const REST = 300; // milliseconds without a change, after which what changed is said aloud
const SIGNS = { // outlines of marks, by half their width
  circle: (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`,
  cross: (r) => `M${-r},${-r}L${r},${r}M${-r},${r}L${r},${-r}`,
  diamond: (r) => `M0,${-r}L${r},0L0,${r}L${-r},0Z`,
  square: (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  triangle: (r) => `M0,${-r}L${r},${r}H${-r}Z`,
};

// A figure as both places want it: `make(model, root)` draws into `root` and gives an object whose `refresh()` shows the
// values of the model, named in `names`, as they are; its `close()`, if it has one, ends what it began.
export function moving(names, make) {
  return {
    render({ model, el }) {
      const view = make(model, frame(el)), refresh = () => view.refresh();
      for (const name of names) model.on(`change:${name}`, refresh);
      view.refresh();
      hideStill(el);
      return () => {
        for (const name of names) model.off(`change:${name}`, refresh);
        view.close?.();
        el.replaceChildren();
      };
    },
  };
}

// What the reader sets, as Python has it, all at once; whoever else shows this model hears of it.
export function assignTo(model, values) {
  model.set(values);
  model.save_changes();
}

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The frame of a figure: keys that its controls use are not for the page around it (JupyterLab moves between cells).
function frame(el) {
  const root = element("div", { class: "errref-widget", "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  return root;
}

// The still pictures in the same output stand for the figure where it cannot run; where it does, they are not needed.
function hideStill(el) {
  requestAnimationFrame(() => {
    const output = el.closest(".cell_output, .jp-OutputArea");
    for (const picture of output?.querySelectorAll("img") ?? []) picture.hidden = true;
  });
}

// A plot; the scale of each axis is linear, or logarithmic where `log` names it ("x", "y" or "xy"). Curves and marks go
// into named layers, each drawn anew as a whole. `size` changes the units of the picture (see PLOT); `marked`, a list of
// [value, words] for x or y, stands on that axis in place of round numbers.
export class Plot {
  constructor(label, layers, xRange, yRange, { log = "", size = {}, marked = {} } = {}) {
    const { width, height, left, right, top, bottom } = (this.size = { ...PLOT, ...size });
    Object.assign(this, { log, marked });
    this.inner = { width: width - left - right, height: height - top - bottom };
    this.axes = shape("g", { "aria-hidden": "true" });
    this.area = shape("svg", { x: left, y: top, ...this.inner, viewBox: `0 0 ${this.inner.width} ${this.inner.height}` });
    this.root = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    this.root.append(this.axes, this.area);
    this.layers = new Map(layers.map((name) => [name, shape("g", { class: `errref-${name}` })]));
    this.area.append(...this.layers.values());
    this.setRanges(xRange, yRange);
  }

  // What the picture shows, in words, for those who do not see it.
  describe(words) {
    if (this.root.getAttribute("aria-label") !== words) this.root.setAttribute("aria-label", words);
  }

  setRanges(xRange, yRange, marked = this.marked) {
    Object.assign(this, { xRange, yRange });
    const { left, top } = this.size, { width, height } = this.inner;
    this.axes.replaceChildren(shape("path", { d: `M${left},${top}V${top + height}H${left + width}`, class: "errref-axis" }));
    for (const [value, words] of marked.x ?? ticks(xRange, this.log.includes("x"))) {
      const at = left + this.px(value);
      this.axes.append(shape("text", { x: at, y: top + height + 15, "text-anchor": "middle" }, words));
    }
    for (const [value, words] of marked.y ?? ticks(yRange, this.log.includes("y"))) {
      const at = top + this.py(value);
      this.axes.append(shape("path", { d: `M${left},${at}h${width}`, class: "errref-grid" }));
      this.axes.append(shape("text", { x: left - 5, y: at + 4, "text-anchor": "end" }, words));
    }
  }

  px(x) {
    return share(x, this.xRange, this.log.includes("x")) * this.inner.width;
  }

  py(y) {
    return (1 - share(y, this.yRange, this.log.includes("y"))) * this.inner.height;
  }

  // Where an event with a pointer happened, in the units of the axes.
  where(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.area.getScreenCTM().inverse());
    const { width, height } = this.inner;
    return { x: valueAt(at.x / width, this.xRange, this.log.includes("x")), y: valueAt(1 - at.y / height, this.yRange, this.log.includes("y")) };
  }

  // Nothing is drawn but the axes; words say why.
  clear(words) {
    for (const name of this.layers.keys()) this.draw(name);
    this.describe(words);
  }

  draw(layer, ...shapes) {
    this.layers.get(layer).replaceChildren(...shapes);
  }

  // A curve through the points for which `where` holds.
  curve(x, y, attributes, where = () => true) {
    let d = "", pen = false;
    for (let i = 0; i < x.length; i++) {
      const down = where(i);
      if (down) d += `${pen ? "L" : "M"}${this.px(x[i]).toFixed(1)},${this.py(y[i]).toFixed(1)}`;
      pen = down;
    }
    return shape("path", { d, fill: "none", "stroke-width": 1.8, ...attributes });
  }

  // Many dots as one shape.
  dots(x, y, attributes) {
    const d = Array.from(x, (at, i) => `M${this.px(at).toFixed(1)},${this.py(y[i]).toFixed(1)}h0`).join("");
    return shape("path", { d, "stroke-linecap": "round", ...attributes });
  }

  mark(x, y, attributes) {
    return shape("circle", { cx: this.px(x).toFixed(1), cy: this.py(y).toFixed(1), r: 2.5, ...attributes });
  }

  // A mark of some kind, one of SIGNS, and half width.
  sign(kind, x, y, r, attributes) {
    const place = `translate(${this.px(x).toFixed(1)},${this.py(y).toFixed(1)})`;
    return shape("path", { d: SIGNS[kind](r), transform: place, ...attributes });
  }

  // Words at a place, moved by some units of the picture.
  words(x, y, text, [right, down] = [0, 0], attributes = {}) {
    return shape("text", { x: (this.px(x) + right).toFixed(1), y: (this.py(y) + down).toFixed(1), ...attributes }, text);
  }
}

// Every few of many values, and the last: enough for a curve.
export function sparse(values, every = 8) {
  return values.filter((_, i) => i % every === 0 || i === values.length - 1);
}

// The colour of a network in the colours of the book: 0 is the general network, from 1 on experts.
export function networkColour(colours, k) {
  return colours[k ? `expert ${((k - 1) % 4) + 1}` : "general"];
}

// Which network answers where, as a band at the foot of a plot: `who` lists networks at equal parts of [-1, 1), and
// stretches that have room carry the number of theirs.
export function band(plot, who, colours) {
  const edge = (i) => plot.px((2 * i) / who.length - 1), { height } = plot.inner, shapes = [];
  for (let i = 0, end; i < who.length; i = end) {
    for (end = i; end < who.length && who[end] === who[i]; ) end++;
    const [from, to, network] = [edge(i), edge(end), who[i]];
    const box = { x: from, y: height - 13, width: to - from, height: 13, "data-network": network };
    shapes.push(shape("rect", { ...box, fill: networkColour(colours, network) }));
    const middle = { x: (from + to) / 2, y: height - 3, "text-anchor": "middle", class: "errref-who", "data-network": network };
    if (to - from > 12) shapes.push(shape("text", middle, network ? String(network) : "G"));
  }
  return shapes;
}

function share(value, [low, high], log) {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

function valueAt(part, [low, high], log) {
  return log ? low * (high / low) ** part : low + part * (high - low);
}

function ticks(range, log) {
  return roundNumbers(range, log).map((value) => [value, short(value)]);
}

function roundNumbers([low, high], log) {
  if (log) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.ceil((last - first + 1) / 6);
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
  }
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// A number with few digits.
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(1).replace(".0e", "e") : String(Number(value.toPrecision(3)));
}

// A whole number as people write it.
export function counted(n) {
  return n.toLocaleString("en");
}

// How far the training of a system is, from 0 to 1, and what is being trained, in words.
export function trainingState({ network, experts, done }) {
  const part = experts === null ? done / 4 : (network + done) / (experts + 1);
  return [part, network ? `training expert ${network} of ${experts}` : "training the general network"];
}

// The values from one to another in equal steps of at least a hundredth.
export function range(from, to, step) {
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, k) => Number((from + k * step).toFixed(2)));
}

// A slider over a list of values, named by its label, which is words or a list of them and elements; `format` says a value
// in words. `offer` changes the list, before the value is shown; `input` is the control itself.
export function slider(label, values, format, onInput) {
  const input = element("input", { type: "range", min: 0, max: values.length - 1, step: 1 });
  const said = element("span", { class: "errref-value", "aria-hidden": "true" }); // the control itself says it aloud
  const root = element("label", { class: "errref-control" }, element("span", {}, ...[label].flat()), input, said);
  input.addEventListener("input", () => onInput(values[input.valueAsNumber]));
  const distance = (a, b) => (a === b ? 0 : a === null || b === null ? Infinity : Math.abs(a - b));
  const show = (value) => {
    input.value = values.reduce((best, v, i) => (distance(v, value) < distance(values[best], value) ? i : best), 0);
    said.textContent = format(value);
    input.setAttribute("aria-valuetext", format(value));
  };
  const offer = (now) => {
    values = now;
    input.max = now.length - 1;
  };
  return { root, input, show, offer };
}

// A choice from a list of [value, words]; `say` gives the options other words.
export function choice(label, options, onInput) {
  const input = element("select", {}, ...options.map(([value, words]) => element("option", { value }, words)));
  input.addEventListener("input", () => onInput(input.value));
  const root = element("label", { class: "errref-control" }, element("span", {}, label), input);
  const say = (words) => words.forEach((text, k) => write(input.options[k], text));
  return { root, say, show: (value) => (input.value = value) };
}

// Change words only where they differ: a live region would say the same again.
export function write(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

// A button.
export function button(words, onClick) {
  const root = element("button", { type: "button" }, words);
  root.addEventListener("click", onClick);
  return { root, show: (now) => write(root, now) };
}

// A button that plays and pauses: while it plays, `onTick` is called at once and every so many milliseconds, until it
// returns false.
// `onPause` is called when it has ended, or was paused.
export function player(milliseconds, onTick, onPause = () => {}) {
  let timer = 0;
  const pause = () => {
    if (timer) onPause();
    clearInterval(timer);
    timer = 0;
    show("play");
  };
  const play = () => {
    const tick = () => onTick() || pause();
    timer = setInterval(tick, milliseconds);
    show("pause");
    tick();
  };
  const { root, show } = button("play", () => (timer ? pause() : play()));
  return { root, pause, playing: () => timer !== 0 };
}

// A thread that runs some source; `fail` gets words.
export function thread(source, receive, fail) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" })), worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.onmessage = ({ data }) => receive(data);
  worker.onerror = (event) => fail(`The training stopped: ${event.message}`);
  return worker;
}

// Calls back, where an event is `active`, with the two ends of each movement of the first finger or of the main button
// held down.
export function drag(plot, active, onMove) {
  let last = null;
  plot.root.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary || !active(event)) return;
    plot.root.setPointerCapture(event.pointerId);
    last = plot.where(event);
    onMove(last, last);
  });
  plot.root.addEventListener("pointermove", (event) => {
    if (!last || !event.isPrimary || !active(event)) return;
    const here = plot.where(event);
    onMove(last, here);
    last = here;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    plot.root.addEventListener(end, (event) => {
      if (event.isPrimary) last = null;
    });
  }
}

// A live region, for the ear alone. What is said in quick succession is said once, when it rests; `atRest` may do more.
export function voice() {
  const root = element("p", { role: "status", class: "errref-aloud" });
  let timer = 0;
  const quiet = () => clearTimeout(timer);
  const atRest = (action) => {
    quiet();
    timer = setTimeout(action, REST);
  };
  return { root, quiet, atRest, say: (words) => atRest(() => write(root, words)) };
}

// A table with a caption. Each row is [name, ...cells]; a cell is text, or a number, which is shown short and kept whole.
export function table(caption) {
  const root = element("table", {}, element("caption", {}, caption));
  const cell = (value) => {
    if (typeof value === "number") return element("td", { "data-value": value }, short(value));
    return element("td", {}, value);
  };
  const show = (head, rows) => {
    const heads = head.map((words) => (words ? element("th", { scope: "col" }, words) : element("td")));
    const lines = rows.map(([name, ...cells]) => element("tr", {}, element("th", { scope: "row" }, name), ...cells.map(cell)));
    root.replaceChildren(root.caption, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
  };
  return { root, show };
}

// A plot with its heading above and its legend, if any, below.
export function panel(heading, plot, ...below) {
  return element("figure", {}, element("figcaption", {}, heading), plot.root, ...below);
}

// Controls that belong together, under one heading.
export function group(title, ...controls) {
  return element("fieldset", {}, element("legend", {}, title), ...controls.map(({ root }) => root));
}

// A line of the legend: a sample of the colour, and words.
export function legend(colour, words, style = "solid") {
  const swatch = element("span", { class: "errref-swatch", style: `border-top-color: ${colour}; border-top-style: ${style}` });
  return element("li", {}, swatch, words);
}
