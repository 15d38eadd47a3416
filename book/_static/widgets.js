// Brings the moving figures of a page to life from the state that is stored in it: no kernel, no server, nobody else's
// code. It gives a figure what it would find in JupyterLab, a model with named values that tells of their changes.
const MIME = "application/vnd.jupyter.widget-";

class Model {
  constructor(values) {
    this.values = { ...values };
    this.listeners = new Map();
  }

  get(name) {
    return this.values[name];
  }

  // One value by its name, or several as an object; listeners hear of each when all are set.
  set(name, value) {
    const given = Object.entries(typeof name === "string" ? { [name]: value } : name);
    const changed = given.filter(([key, now]) => this.values[key] !== now);
    for (const [key, now] of changed) this.values[key] = now;
    for (const [key] of changed) for (const listener of [...(this.listeners.get(`change:${key}`) ?? [])]) listener();
  }

  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
  }

  off(event, listener) {
    this.listeners.get(event)?.delete(listener);
  }

  save_changes() {} // there is no kernel to save them in
}

function parsed(kind) {
  const found = [...document.querySelectorAll(`script[type="${MIME}${kind}+json"]`)];
  return found.map((script) => [script, JSON.parse(script.textContent)]);
}

// Each source once, however many figures of it there are.
const once = (make, made = new Map()) => (text) => made.get(text) ?? made.set(text, make(text)).get(text);

const load = once((code) => import(URL.createObjectURL(new Blob([code], { type: "text/javascript" }))));
const style = once((css) => {
  const sheet = document.createElement("style");
  sheet.textContent = css;
  document.head.append(sheet);
  return sheet;
});

async function start() {
  const states = Object.assign({}, ...parsed("state").map(([, { state }]) => state));
  const models = new Map();
  for (const [script, { model_id }] of parsed("view")) {
    const values = states[model_id]?.state;
    if (!values?._esm) continue;
    if (!models.has(model_id)) models.set(model_id, new Model(values));
    style(values._css ?? "");
    const el = document.createElement("div");
    script.after(el);
    try {
      const figure = (await load(values._esm)).default;
      await figure.render({ model: models.get(model_id), el });
    } catch (error) {
      el.remove(); // the still picture stands, and the other figures start
      console.error(error);
    }
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
