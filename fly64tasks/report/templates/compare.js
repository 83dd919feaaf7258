// Let a reader lay two jobs beside or over each other: one zoom and place for both.
function compare(section) {
  const sheets = [...document.querySelectorAll("img.panels")];
  if (!sheets.length) return;
  const form = section.querySelector("form");
  const { a, b, quantity, mode, share } = form.elements;
  const stage = section.querySelector(".stage");
  const figures = [...stage.children];
  const name = (sheet) => sheet.closest("details.job").querySelector(".title").textContent;
  const images = new Map();
  let view, blinks = false, drawn = 0;
  const whole = () => (view = { zoom: 1, x: 0.5, y: 0.5 });

  const picture = async (sheet) => {
    if (!images.has(sheet)) {
      const image = Object.assign(new Image(), { src: sheet.src });
      images.set(sheet, image.decode().then(() => image));
    }
    return images.get(sheet);
  };
  // Return the panels of a sheet that show what was chosen, each with its place.
  const chosen = async (sheet, truth) => {
    const image = await picture(sheet);
    const [columns, rows] = [Number(sheet.dataset.columns), Number(sheet.dataset.rows)];
    const place = { amplitude: { x: 0, y: 0 }, phase: { x: 1, y: 0 } };
    if (rows === 2)
      for (const [y, key] of ["amplitude", "phase"].entries()) place[key] = { x: truth ? 0 : 1, y };
    const keys = quantity.value === "both" ? ["amplitude", "phase"] : [quantity.value];
    return keys.map((key) => ({ image, columns, rows, ...place[key] }));
  };
  const paint = (canvas, panels, from) => {
    const context = canvas.getContext("2d");
    const wide = canvas.width / panels.length;
    for (const [index, { image, columns, rows, x, y }] of panels.entries()) {
      const [w, h] = [image.naturalWidth / columns, image.naturalHeight / rows];
      const scale = Math.min(wide / w, canvas.height / h) * view.zoom;
      const [left, top] = [index * wide + wide / 2 - view.x * w * scale, canvas.height / 2 - view.y * h * scale];
      const area = [(index + from) * wide, 0, (1 - from) * wide, canvas.height];
      context.save();
      context.beginPath();
      context.rect(...area);
      context.clip();
      context.clearRect(...area);
      context.imageSmoothingEnabled = scale < 2;
      context.drawImage(image, x * w, y * h, w, h, left, top, w * scale, h * scale);
      context.restore();
    }
  };
  // Give the room that is needed, with words below: of panels so high for their width.
  const lay = (aspect) => {
    const names = [name(sheets[a.value]), b.value === "truth" ? "its truth" : name(sheets[b.value])];
    const pair = mode.value === "pair";
    const tiles = quantity.value === "both" ? 2 : 1;
    stage.classList.toggle("one", !pair);
    figures[1].hidden = !pair;
    form.querySelector(".slide").hidden = mode.value !== "slider";
    const words = {
      pair: names,
      slider: [`A left: ${names[0]}; B right: ${names[1]}`],
      blink: [blinks ? `B: ${names[1]}` : `A: ${names[0]}`],
    }[mode.value];
    for (const [index, text] of words.entries()) {
      const canvas = figures[index].querySelector("canvas");
      canvas.width = canvas.clientWidth * devicePixelRatio;
      canvas.height = (canvas.width / tiles) * Math.min(aspect, 1.2);
      figures[index].querySelector("figcaption").textContent = text;
    }
    return pair;
  };
  const draw = async () => {
    const turn = ++drawn;
    const [first, other] = [sheets[a.value], b.value === "truth" ? sheets[a.value] : sheets[b.value]];
    const shown = await Promise.all([chosen(first), chosen(other, b.value === "truth")]);
    if (turn !== drawn) return;
    const { image, columns, rows } = shown[0][0];
    const pair = lay(image.naturalHeight / rows / (image.naturalWidth / columns));
    const [left, right] = figures.map((figure) => figure.querySelector("canvas"));
    paint(left, shown[mode.value === "blink" && blinks ? 1 : 0], 0);
    if (pair) paint(right, shown[1], 0);
    if (mode.value === "slider") {
      paint(left, shown[1], share.value / 100);
      const wide = left.width / shown[1].length;
      const context = left.getContext("2d");
      context.fillStyle = getComputedStyle(left).color;
      for (const index of shown[1].keys())
        context.fillRect((index + share.value / 100) * wide - 1, 0, 2, left.height);
    }
  };
  const zoomBy = (factor) => {
    if (factor) view.zoom = Math.min(40, Math.max(1, view.zoom * factor));
    if (!factor || view.zoom === 1) whole();
    draw();
  };

  whole();
  section.hidden = false;
  document.querySelector("nav [hidden]").hidden = false;
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) zoomBy(Number(button.dataset.zoom));
  });
  for (const figure of figures) {
    const canvas = figure.querySelector("canvas");
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      const tiles = quantity.value === "both" ? 2 : 1;
      view.x -= (event.movementX * tiles) / canvas.clientWidth / view.zoom;
      view.y -= event.movementY / canvas.clientHeight / view.zoom;
      draw();
    });
  }
  setInterval(() => {
    if (mode.value !== "blink") return;
    blinks = !blinks;
    draw();
  }, 700);
  const list = () => {
    for (const select of [a, b])
      for (const [index, sheet] of sheets.entries()) select.add(new Option(name(sheet), index));
    if (sheets.some((sheet) => sheet.dataset.rows === "2")) b.add(new Option("truth of A", "truth"));
    // Beside the first job: the same cell by another method or of another draw, else its truth.
    const cell = (sheet) => ["dose", "view", "split"].map((key) => sheet.closest("details.job").dataset[key]).join();
    const like = sheets.findIndex((sheet, index) => index && cell(sheet) === cell(sheets[0]));
    b.value = like > 0 ? like : sheets[0].dataset.rows === "2" ? "truth" : sheets.length - 1;
    const [top, bottom, left, right] = (sheets[0].dataset.box ?? "0 1 0 1").split(" ");
    lay((bottom - top) / (right - left));
  };
  // What is far below is drawn when it comes into sight, and of many jobs listed then; what lies
  // below it stays where it is.
  const many = document.body.className === "many";
  if (!many) list();
  const sight = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    sight.disconnect();
    if (many) list();
    addEventListener("resize", draw);
    draw();
  });
  sight.observe(section);
}

const beside = document.getElementById("compare");
if (beside) compare(beside);
