// What all moving figures share: elements, plots in SVG, controls with their labels.

const PLOT = { width: 360, height: 230, left: 34, right: 8, top: 8, bottom: 24 }; // units of the picture

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

// The frame of a widget: keys that its controls use are not for the page around it (JupyterLab moves between cells).
export function frame(el) {
  const root = element("div", { class: "errref-widget", "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  return root;
}

// The still pictures in the same output stand for the widget where it cannot run; where it does, they are not needed.
export function hideStill(root) {
  requestAnimationFrame(() => {
    const output = root.closest(".cell_output, .jp-OutputArea");
    for (const picture of output?.querySelectorAll("img") ?? []) picture.hidden = true;
  });
}

// A plot with a linear scale on each axis. Curves and marks go into named layers, each drawn anew as a whole.
export class Plot {
  constructor(label, layers, xRange, yRange) {
    const { width, height, left, right, top, bottom } = PLOT;
    this.inner = { width: width - left - right, height: height - top - bottom };
    this.axes = shape("g", { "aria-hidden": "true" });
    this.area = shape("svg", { x: left, y: top, ...this.inner, viewBox: `0 0 ${this.inner.width} ${this.inner.height}` });
    this.root = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    this.root.append(this.axes, this.area);
    this.layers = new Map(layers.map((name) => [name, shape("g", { class: `errref-${name}` })]));
    this.area.append(...this.layers.values());
    this.setRanges(xRange, yRange);
  }

  setRanges(xRange, yRange) {
    Object.assign(this, { xRange, yRange });
    const { left, top } = PLOT, { width, height } = this.inner;
    this.axes.replaceChildren(shape("path", { d: `M${left},${top}V${top + height}H${left + width}`, class: "errref-axis" }));
    for (const value of ticks(xRange)) {
      const at = left + this.px(value);
      this.axes.append(shape("text", { x: at, y: top + height + 15, "text-anchor": "middle" }, short(value)));
    }
    for (const value of ticks(yRange)) {
      const at = top + this.py(value);
      this.axes.append(shape("path", { d: `M${left},${at}h${width}`, class: "errref-grid" }));
      this.axes.append(shape("text", { x: left - 5, y: at + 4, "text-anchor": "end" }, short(value)));
    }
  }

  px(x) {
    return ((x - this.xRange[0]) / (this.xRange[1] - this.xRange[0])) * this.inner.width;
  }

  py(y) {
    return (1 - (y - this.yRange[0]) / (this.yRange[1] - this.yRange[0])) * this.inner.height;
  }

  // Where an event with a pointer happened, in the units of the axes.
  where(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.area.getScreenCTM().inverse());
    const [left, right] = this.xRange, [low, high] = this.yRange, { width, height } = this.inner;
    return { x: left + (at.x / width) * (right - left), y: high - (at.y / height) * (high - low) };
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
    return shape("path", { d, fill: "none", ...attributes });
  }

  mark(x, y, attributes) {
    return shape("circle", { cx: this.px(x).toFixed(1), cy: this.py(y).toFixed(1), r: 2.5, ...attributes });
  }
}

function ticks([low, high]) {
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

// A slider over a list of values, named by its label; `format` says a value in words.
export function slider(label, values, format, onInput) {
  const input = element("input", { type: "range", min: 0, max: values.length - 1, step: 1 });
  const said = element("span", { class: "errref-value", "aria-hidden": "true" }); // the control itself says it aloud
  const root = element("label", { class: "errref-control" }, element("span", {}, label), input, said);
  input.addEventListener("input", () => onInput(values[input.valueAsNumber]));
  const distance = (a, b) => (a === b ? 0 : a === null || b === null ? Infinity : Math.abs(a - b));
  const show = (value) => {
    input.value = values.reduce((best, v, i) => (distance(v, value) < distance(values[best], value) ? i : best), 0);
    said.textContent = format(value);
    input.setAttribute("aria-valuetext", format(value));
  };
  return { root, show };
}

// A choice from a list of [value, words].
export function choice(label, options, onInput) {
  const input = element("select", {}, ...options.map(([value, words]) => element("option", { value }, words)));
  input.addEventListener("input", () => onInput(input.value));
  const root = element("label", { class: "errref-control" }, element("span", {}, label), input);
  return { root, show: (value) => (input.value = value) };
}

// Change words only where they differ: a live region would say the same again.
export function write(node, words) {
  if (node.textContent !== words) node.textContent = words;
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
