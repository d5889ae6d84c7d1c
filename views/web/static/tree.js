// Stacks as trees: preorder arrays, a parent always before its children. No drawing here.

/** A tree as it came, with what a reader does not want to see taken out.
 *
 * A hidden library frame hands its time to the frame that called it, so no CPU is lost; hidden waiting is left out whole.
 * Gives {labels, packages, kinds, parent, label, depth, self, total, samples, children}.
 */
export function treeOf(answer, { library = false, idle = false } = {}) {
  const tree = empty(answer);
  const place = new Int32Array(answer.parent.length).fill(-1);
  const keys = new Map();
  place[0] = 0;
  for (let node = 0; node < answer.parent.length; node++) {
    if (node > 0) {
      const above = place[answer.parent[node]];
      if (above < 0) continue;
      const kind = answer.kinds[answer.label[node]];
      if (idle && kind === "idle") continue;
      place[node] = library && kind === "library" ? above : child(tree, keys, above, answer.label[node]);
    }
    tree.self[place[node]] += answer.self_us[node];
    tree.samples[place[node]] += answer.self_samples[node];
  }
  return summed(tree);
}

/** Two trees in one: `self` is of `b` and `base` of `a`, both in CPU microseconds per request.
 *
 * `total` and `baseTotal` count what is below; without requests in a range, its costs are per second instead.
 */
export function difference(a, b, perA, perB) {
  const tree = empty(b);
  const keys = new Map();
  tree.base = [0];
  const labels = new Map(tree.labels.map((label, place) => [label, place]));
  const add = (from, column, scale) => {
    const place = new Int32Array(from.parent.length);
    for (let node = 0; node < from.parent.length; node++) {
      if (node > 0) {
        const name = from.labels[from.label[node]];
        if (!labels.has(name)) {
          labels.set(name, tree.labels.length);
          tree.labels.push(name);
          tree.packages.push(from.packages[from.label[node]]);
          tree.kinds.push(from.kinds[from.label[node]]);
        }
        place[node] = child(tree, keys, place[from.parent[node]], labels.get(name));
      }
      tree[column][place[node]] += from.self[node] * scale;
      tree.samples[place[node]] += from.samples[node];
    }
  };
  tree.labels = [...tree.labels];
  tree.packages = [...tree.packages];
  tree.kinds = [...tree.kinds];
  add(b, "self", 1 / perB);
  add(a, "base", 1 / perA);
  return summed(tree);
}

function empty({ labels, packages, kinds }) {
  return { labels, packages, kinds, parent: [-1], label: [0], depth: [0], self: [0], samples: [0], base: null };
}

function child(tree, keys, above, label) {
  const key = above * 1048576 + label;
  let node = keys.get(key);
  if (node === undefined) {
    node = tree.parent.length;
    keys.set(key, node);
    tree.parent.push(above);
    tree.label.push(label);
    tree.depth.push(tree.depth[above] + 1);
    tree.self.push(0);
    tree.samples.push(0);
    tree.base?.push(0);
  }
  return node;
}

/** Totals from the leaves up, and each node's children, those that cost most first. */
function summed(tree) {
  const size = tree.parent.length;
  tree.total = Float64Array.from(tree.self);
  tree.totalSamples = Float64Array.from(tree.samples);
  tree.baseTotal = tree.base && Float64Array.from(tree.base);
  tree.children = Array.from({ length: size }, () => []);
  for (let node = size - 1; node > 0; node--) {
    tree.total[tree.parent[node]] += tree.total[node];
    tree.totalSamples[tree.parent[node]] += tree.totalSamples[node];
    if (tree.base) tree.baseTotal[tree.parent[node]] += tree.baseTotal[node];
    tree.children[tree.parent[node]].push(node);
  }
  // A frame that is only in the base has no width in the other: both count where a place is given.
  tree.width = tree.base ? tree.total.map((value, node) => Math.max(value, tree.baseTotal[node])) : tree.total;
  if (tree.base) {
    // A parent must be at least as wide as its children together.
    for (let node = size - 1; node >= 0; node--) {
      const below = tree.children[node].reduce((sum, one) => sum + tree.width[one], 0);
      tree.width[node] = Math.max(tree.width[node], below + Math.max(tree.self[node], tree.base[node]));
    }
  }
  const name = (node) => tree.labels[tree.label[node]];
  for (const children of tree.children) children.sort((one, other) => tree.width[other] - tree.width[one] || (name(one) < name(other) ? -1 : 1));
  return tree;
}

/** Functions of a tree: by themselves and with what they called, each stack counted once however deep it recursed. */
export function functionsOf(tree) {
  const found = tree.labels.map((label, place) => ({
    label, kind: tree.kinds[place], package: tree.packages[place], self: 0, total: 0, base: 0, baseTotal: 0, samples: 0 }));
  const open = new Int32Array(tree.labels.length);
  const walk = [[0, false]];
  while (walk.length) {
    const [node, leaving] = walk.pop();
    const label = tree.label[node];
    if (leaving) {
      open[label]--;
      continue;
    }
    if (node > 0) {
      const one = found[label];
      one.self += tree.self[node];
      one.samples += tree.samples[node];
      if (tree.base) one.base += tree.base[node];
      if (!open[label]) {
        one.total += tree.total[node];
        if (tree.base) one.baseTotal += tree.baseTotal[node];
      }
    }
    open[label]++;
    walk.push([node, true]);
    for (const below of tree.children[node]) walk.push([below, false]);
  }
  return found.slice(1).filter((one) => one.total || one.baseTotal);
}

/** Which labels hold all the words, as a set of places; null without words. */
export function search(tree, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const matches = tree.labels.map((label) => words.every((word) => label.toLowerCase().includes(word)));
  return new Set(matches.flatMap((does, place) => (does && place > 0 ? [place] : [])));
}

/** The part of all CPU in which a matching frame was on the stack. */
export function matched(tree, places) {
  let sum = 0;
  const walk = [0];
  while (walk.length) {
    const node = walk.pop();
    if (places.has(tree.label[node])) sum += tree.total[node];
    else walk.push(...tree.children[node]);
  }
  return tree.total[0] ? sum / tree.total[0] : 0;
}

/** The node at the end of a path of labels, as far as it goes. */
export function follow(tree, labels) {
  let node = 0;
  for (const label of labels) {
    const next = tree.children[node].find((one) => tree.labels[tree.label[one]] === label);
    if (next === undefined) break;
    node = next;
  }
  return node;
}

export function pathTo(tree, node) {
  const labels = [];
  for (let at = node; at > 0; at = tree.parent[at]) labels.unshift(tree.labels[tree.label[at]]);
  return labels;
}
