// Loss surfaces of two weights, and descent on them, as `errref.landscapes` has them.
import { pcg64 } from "./random.js";

// What each model answers at x, and the derivatives of the answer by the two weights.
const MODELS = {
  minima: { answer: ([w, b], x) => w * x + b, slopes: (_, x) => [x, 1] },
  saddle: { answer: ([u, v], x) => u * v * x, slopes: ([u, v], x) => [v * x, u * x] },
  plateau: { answer: ([w, b], x) => Math.tanh(w * x + b), slopes: (_, x, answer) => [(1 - answer ** 2) * x, 1 - answer ** 2] },
};

// What a residual costs, and how hard it pulls: a square, or bounded, if a sample is a trench of some `width`.
const SQUARED = { cost: (r) => r * r, pull: (r) => 2 * r };
const bounded = (width) => ({
  cost: (r) => 1 - Math.exp(-((r / width) ** 2) / 2),
  pull: (r) => (r * Math.exp(-((r / width) ** 2) / 2)) / width ** 2,
});

// A model on samples: its answers, and the mean loss and its gradient on all of them, or on those numbered in `batch`.
export function landscape(name, { x, y, width }) {
  const { answer, slopes } = MODELS[name], { cost, pull } = width ? bounded(width) : SQUARED;
  const all = x.map((_, i) => i);
  const loss = (weights) => {
    let sum = 0;
    for (const i of all) sum += cost(answer(weights, x[i]) - y[i]);
    return sum / all.length;
  };
  const gradient = (weights, batch = all) => {
    let first = 0, second = 0;
    for (const i of batch) {
      const said = answer(weights, x[i]), force = pull(said - y[i]), [a, b] = slopes(weights, x[i], said);
      first += force * a;
      second += force * b;
    }
    return [first / batch.length, second / batch.length];
  };
  return { answer, loss, gradient };
}

// The samples of each step, drawn with replacement; null where `size` takes in all n, and nothing is drawn.
export function batchesOf(size, n, steps, seed) {
  if (size === null || size >= n) return null;
  const draw = pcg64(seed);
  return Array.from({ length: steps }, () => Array.from({ length: size }, () => Math.floor(n * draw())));
}

// The weights before each step and after the last; the path ends early where a weight is beyond `far`.
export function pathOf(gradient, start, rate, steps, far, batches) {
  const path = [start];
  for (let step = 0, [a, b] = start; step < steps && Math.max(Math.abs(a), Math.abs(b)) <= far; step++) {
    const [first, second] = gradient([a, b], batches?.[step]);
    [a, b] = [a - rate * first, b - rate * second];
    path.push([a, b]);
  }
  return path;
}
