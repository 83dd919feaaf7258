// Say what lies under the pointer in a job's pictures: the place, and the value where it can be read.
function colours(ramp) {
  const rgb = getComputedStyle(ramp).backgroundImage.matchAll(/rgb\((\d+), (\d+), (\d+)\)/g);
  return [...rgb].map((match) => match.slice(1).map(Number));
}

// Return where a colour lies between the ends of a map, 0 to 1: the nearest point of the line
// through the map's colours.
function shareOf(colour, map) {
  const dot = (u, v) => u.reduce((sum, value, axis) => sum + value * v[axis], 0);
  const less = (u, v) => u.map((value, axis) => value - v[axis]);
  let [share, nearest] = [0, Infinity];
  for (const [index, start] of map.slice(0, -1).entries()) {
    const [step, from] = [less(map[index + 1], start), less(colour, start)];
    const along = Math.min(1, Math.max(0, dot(from, step) / dot(step, step)));
    const off = less(from, step.map((value) => value * along));
    if (dot(off, off) < nearest) [share, nearest] = [(index + along) / (map.length - 1), dot(off, off)];
  }
  return share;
}

const read = new WeakMap();

// Return the colour of a picture at a place, nothing where it is blank or the browser does not tell.
function colourAt(image, x, y) {
  if (!read.has(image)) {
    const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    read.set(image, context);
  }
  try {
    const [red, green, blue, opaque] = read.get(image).getImageData(x, y, 1, 1).data;
    return opaque > 250 ? [red, green, blue] : null;
  } catch {
    return null; // a file beside the page, opened from a disk
  }
}

function tell(image, event) {
  const [columns, rows] = [Number(image.dataset.columns), Number(image.dataset.rows)];
  const area = image.getBoundingClientRect();
  const [x, y] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  const [column, row] = [Math.floor(x * columns), Math.floor(y * rows)];
  const [y0, y1, x0, x1] = image.dataset.box.split(" ").map(Number);
  const place = `y ${y0 + Math.floor((y * rows - row) * (y1 - y0))}, x ${x0 + Math.floor((x * columns - column) * (x1 - x0))}`;
  const figure = image.closest("figure");
  const ramp = figure.querySelectorAll(".ramp")[rows === 2 ? row + (column === 2 ? 2 : 0) : column];
  const colour = colourAt(image, Math.floor(x * image.naturalWidth), Math.floor(y * image.naturalHeight));
  let value = "";
  if (colour && ramp) {
    const [low, high] = [Number(ramp.dataset.low), Number(ramp.dataset.high)];
    const share = shareOf(colour, colours(ramp));
    const bound = share < 0.002 ? "≤" : share > 0.998 ? "≥" : "≈";
    const unit = ramp.parentElement.textContent.includes("rad") ? " rad" : "";
    value = ` ${bound} ${(low + share * (high - low)).toFixed(2).replace("-", "−")}${unit}`;
  }
  const here = figure.querySelector(".here") ?? figure.appendChild(Object.assign(document.createElement("span"), { className: "here" }));
  const name = ramp ? ramp.parentElement.firstChild.textContent : "";
  here.textContent = `${name}${value} at ${place}`;
  const left = event.clientX - figure.getBoundingClientRect().left;
  here.style.left = `${Math.max(0, Math.min(left + 14, figure.clientWidth - here.offsetWidth))}px`;
  here.style.top = `${event.clientY - figure.getBoundingClientRect().top + 18}px`;
}

for (const kind of ["pointermove", "pointerout"])
  document.addEventListener(kind, (event) => {
    const image = event.target.closest?.("img.panels[data-box]");
    if (!image) return;
    if (kind === "pointermove" && image.complete) tell(image, event);
    else image.closest("figure").querySelector(".here")?.remove();
  });
