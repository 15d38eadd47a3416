// Exact and fast training of one-hidden-layer ReLU networks on a line: `errref.exact`, operation for operation. The
// reasons for what is done here stand there. Weights are one flat array: hidden weights, hidden biases, output weights,
// output bias.
import { pcg64 } from "./random.js";

const BETA1 = 0.9, BETA2 = 0.999, EPSILON = 1e-8;
const MOMENTS = 5; // sums of s, s z, s z^2, s y and s z y

// The midpoints of n equal parts of [-1, 1).
export function even(n) {
  return Float64Array.from({ length: n }, (_, i) => (i + 0.5) * (2 / n) - 1);
}

// Ascending inputs and their targets, all of the same weight: prefix sums of their moments.
export function prepare(x, y) {
  const n = x.length, half = n >> 1, s = 2 / n, moments = new Float64Array((n + 1) * MOMENTS);
  const centre = sumOf(Array.from(x, (value) => s * value)) / 2;
  const terms = Array.from(x, (value, i) => {
    const z = value - centre;
    return [s, s * z, s * z * z, s * y[i], s * z * y[i]];
  });
  const totals = new Float64Array(2 * MOMENTS);
  for (let m = 0; m < MOMENTS; m++) {
    const column = terms.map((term) => term[m]);
    runningSums(column.slice(0, half)).forEach((sum, i) => (moments[(i + 1) * MOMENTS + m] = sum));
    runningSums(column.slice(half + 1).reverse()).forEach((sum, i) => (moments[(n - 1 - i) * MOMENTS + m] = -sum));
    totals[MOMENTS + m] = sumOf(column);
  }
  const squares = sumOf(Array.from(y, (value) => s * (value * value)));
  return { x: Float64Array.of(-Infinity, ...x, Infinity), moments, totals, centre, squares };
}

// Sums with the rounding errors carried along (Knuth), for prefix sums that are right to the last digit.
function runningSums(values) {
  let sum = 0, lost = 0;
  return values.map((value) => {
    const next = sum + value, back = next - sum;
    lost += sum - (next - back) + (value - back);
    sum = next;
    return sum + lost;
  });
}

function sumOf(values) {
  return runningSums(values).at(-1);
}

// Starting weights as torch.nn.Linear draws them, from the generator of `errref.networks.ReluRegressor`.
export function startingWeights(hidden, seed) {
  const draw = pcg64(seed), weights = new Float64Array(3 * hidden + 1);
  return weights.map((_, i) => {
    const bound = i < 2 * hidden ? 1 : 1 / Math.sqrt(hidden);
    return -bound + (bound + bound) * draw();
  });
}

// Answers of a network at inputs x.
export function evaluate(weights, x) {
  const H = (weights.length - 1) / 3, answers = new Float64Array(x.length).fill(weights[3 * H]);
  for (let j = 0; j < H; j++) {
    const w = weights[j], b = weights[H + j], v = weights[2 * H + j];
    for (let i = 0; i < x.length; i++) answers[i] += Math.max(w * x[i] + b, 0) * v;
  }
  return answers;
}

// Step sizes and epsilons of Adam, with the bias corrections of torch.optim.Adam in them.
export function schedule(steps, learningRate) {
  const sizes = new Float64Array(steps), epsilons = new Float64Array(steps);
  for (let t = 1; t <= steps; t++) {
    const root = Math.sqrt(1 - BETA2 ** t);
    sizes[t - 1] = (learningRate * root) / (1 - BETA1 ** t);
    epsilons[t - 1] = EPSILON * root;
  }
  return { steps, sizes, epsilons };
}

// Full-batch Adam from some weights by a schedule, in as many portions of steps as one likes.
export class Trainer {
  constructor(samples, weights, plan) {
    const size = weights.length, H = (size - 1) / 3;
    Object.assign(this, { samples, plan, H, step: 0 });
    [this.theta, this.mean, this.square] = [Float64Array.from(weights), new Float64Array(size), new Float64Array(size)];
    [this.gradient, this.switches] = [new Float64Array(size), new Int32Array(H)];
    [this.units, this.segments] = [Int32Array.from({ length: H }, (_, j) => j), new Float64Array(2 * (H + 1))];
  }

  // Take at most `portion` steps more.
  run(portion) {
    for (const stop = Math.min(this.plan.steps, this.step + portion); this.step < stop; this.step++) {
      this.sortUnits();
      this.findGradient();
      this.adam(this.plan.sizes[this.step], this.plan.epsilons[this.step]);
    }
  }

  // The weights as they are now, every unit in its own place.
  weights() {
    const { H, theta, units } = this, weights = Float64Array.from(theta);
    for (let j = 0; j < H; j++) for (let p = 0; p < 3 * H; p += H) weights[p + units[j]] = theta[p + j];
    return weights;
  }

  sortUnits() {
    const { H, theta, mean, square, switches, units } = this, { x } = this.samples;
    for (let j = 0; j < H; j++) {
      const w = theta[j], b = theta[H + j], k = switches[j];
      if (w * x[k] + b > 0 === w > 0 || w * x[k + 1] + b > 0 !== w > 0) switches[j] = findSwitch(x, k, w, b);
      for (let i = j; i > 0 && switches[i - 1] > switches[i]; i--) {
        swap(switches, i);
        swap(units, i);
        for (let p = i; p < 3 * H; p += H) {
          swap(theta, p);
          swap(mean, p);
          swap(square, p);
        }
      }
    }
  }

  // Write the gradient at the present weights, and return the loss.
  findGradient() {
    const { H, theta, gradient, switches, segments } = this, { moments, totals, centre, squares } = this.samples;
    const n = this.samples.x.length - 2, half = n >> 1;
    let slope = 0, height = 0; // of the network at the centre, as far as units that are active on the left make it
    for (let j = H - 1; j >= 0; j--) {
      segments[2 * j + 2] = slope;
      segments[2 * j + 3] = height;
      const w = theta[j], v = theta[2 * H + j];
      if (w < 0) {
        slope += w * v;
        height += (w * centre + theta[H + j]) * v;
      }
    }
    segments[0] = slope;
    segments[1] = height;
    slope = 0;
    height = theta[3 * H]; // as far as the others make it
    let left0 = 0, left1 = 0, loss = squares, start = 0;
    for (let j = 0; j <= H; j++) {
      const stop = j < H ? switches[j] : n, across = start <= half && half < stop ? MOMENTS : 0;
      const to = stop * MOMENTS, from = start * MOMENTS;
      const s = moments[to] - moments[from] + totals[across];
      const sz = moments[to + 1] - moments[from + 1] + totals[across + 1];
      const szz = moments[to + 2] - moments[from + 2] + totals[across + 2];
      const sy = moments[to + 3] - moments[from + 3] + totals[across + 3];
      const szy = moments[to + 4] - moments[from + 4] + totals[across + 4];
      const a = slope + segments[2 * j], d = height + segments[2 * j + 1];
      const r0 = a * sz + d * s - sy, r1 = a * szz + d * sz - szy; // sums of s r and s r z over the segment
      loss += a * (r1 - szy) + d * (r0 - sy);
      left0 += r0;
      left1 += r1;
      segments[2 * j] = r0;
      segments[2 * j + 1] = r1;
      if (j < H) {
        gradient[j] = left1;
        gradient[H + j] = left0;
        const w = theta[j], v = theta[2 * H + j];
        if (w >= 0) {
          slope += w * v;
          height += (w * centre + theta[H + j]) * v;
        }
      }
      start = stop;
    }
    gradient[3 * H] = left0;
    let right0 = 0, right1 = 0;
    for (let j = H - 1; j >= 0; j--) {
      right0 += segments[2 * j + 2];
      right1 += segments[2 * j + 3];
      const w = theta[j], v = theta[2 * H + j];
      const r0 = w < 0 ? gradient[H + j] : right0, r1 = w < 0 ? gradient[j] : right1;
      gradient[j] = v * (r1 + centre * r0);
      gradient[H + j] = v * r0;
      gradient[2 * H + j] = w * r1 + (w * centre + theta[H + j]) * r0;
    }
    return 0.5 * loss;
  }

  adam(size, epsilon) {
    const { theta, mean, square, gradient } = this;
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i];
      mean[i] += (1 - BETA1) * (g - mean[i]);
      square[i] = BETA2 * square[i] + (1 - BETA2) * g * g;
      theta[i] -= (size * mean[i]) / (Math.sqrt(square[i]) + epsilon);
    }
  }
}

function swap(values, i) {
  const kept = values[i];
  values[i] = values[i - 1];
  values[i - 1] = kept;
}

// How many samples lie before the switch of a unit, searching outwards from the previous answer k.
function findSwitch(x, k, w, b) {
  const n = x.length - 2;
  if (w === 0) return b > 0 ? 0 : n;
  const after = w > 0;
  let low = k, high = k + 1, reach = 1;
  while (low > 0 && w * x[low] + b > 0 === after) {
    [low, high, reach] = [Math.max(low - reach, 0), low, 2 * reach];
  }
  while (high <= n && w * x[high] + b > 0 !== after) {
    [low, high, reach] = [high, Math.min(high + reach, n + 1), 2 * reach];
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (w * x[middle] + b > 0 === after) high = middle;
    else low = middle;
  }
  return low;
}
