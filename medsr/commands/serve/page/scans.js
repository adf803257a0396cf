// Two scans in NiiVue, input and result: one crosshair, at the same millimetre in both, one zoom, one window.

const { Niivue, SHOW_RENDER, MULTIPLANAR_TYPE, DRAG_MODE } = window.niivue;
const OPTIONS = {
  backColor: [0, 0, 0, 1],
  fontColor: [1, 0.83, 0.29, 1],
  crosshairColor: [1, 0.83, 0.29, 0.8],
  crosshairWidth: 0.4,
  crosshairWidthUnit: "percent",
  showAllOrientationMarkers: true,
  dragAndDropEnabled: false,
  multiplanarShowRender: SHOW_RENDER.NEVER,
  multiplanarLayout: MULTIPLANAR_TYPE.ROW,
  dragMode: DRAG_MODE.contrast,
  isNearestInterpolation: true,
  isRadiologicalConvention: true,
  logLevel: "error",
  loadingText: "",
};
const MOST_ZOOM = 16;
const WIDE = matchMedia("(min-width: 1001px)");

export class Scans {
  // `onMove`: told the crosshair in mm, the values there, and the uncertainty there (or null); `onWindow`: told the
  // values shown as black and white.
  constructor(canvases, onMove, onWindow) {
    this.canvases = canvases;
    this.onMove = onMove;
    this.onWindow = onWindow;
    this.views = [];
    this.busy = false;
    this.spread = null;
    WIDE.addEventListener("change", () => this.arrange());
  }

  async begin(url) {
    this.spread = null;
    await this.load(0, url);
    this.centre();
  }

  async add(url) {
    const [low, high] = this.window;
    const mm = this.crosshair;
    this.spread = null;
    await this.load(1, url);
    this.setWindow(low, high);
    this.views[1].setPan2Dxyzmm([...this.views[0].scene.pan2Dxyzmm]);
    this.setCrosshair(mm);
  }

  async load(index, url) {
    if (!this.views[index]) this.views[index] = await this.attach(index);
    await this.views[index].loadVolumes([{ url, name: "view.nii" }]);
    this.arrange();
  }

  async attach(index) {
    const canvas = this.canvases[index];
    const view = new Niivue({ ...OPTIONS });
    await view.attachToCanvas(canvas, false);
    view.setSliceType(view.sliceTypeMultiplanar);
    view.onLocationChange = () => this.moved(index);
    view.onIntensityChange = (volume) => this.windowed(index, volume);
    // Before NiiVue hears of them: its own keys turn one view into something else, with no way back on this page.
    canvas.parentElement.addEventListener("keydown", (event) => this.key(event), true);
    canvas.parentElement.addEventListener("keyup", (event) => event.key !== "Tab" && event.stopPropagation(), true);
    for (const kind of ["touchstart", "touchmove", "touchend"]) {
      canvas.parentElement.addEventListener(kind, (event) => this.pinch(event), { capture: true, passive: false });
    }
    return view;
  }

  // One scan: its views in a row. Two: beside each other, each in a square, where there is the width for it.
  arrange() {
    const layout = this.shown.length > 1 && WIDE.matches ? MULTIPLANAR_TYPE.GRID : MULTIPLANAR_TYPE.ROW;
    for (const view of this.shown) view.setMultiplanarLayout(layout);
  }

  centre() {
    for (const view of this.shown) view.setPan2Dxyzmm([0, 0, 0, 1]);
    this.setCrosshair(millimetres(this.views[0], [0.5, 0.5, 0.5]));
  }

  get shown() {
    return this.views.filter((view, i) => view.volumes.length && !this.canvases[i].closest("figure").hidden);
  }

  get crosshair() {
    return millimetres(this.views[0], this.views[0].scene.crosshairPos);
  }

  setCrosshair(mm) {
    if (!mm.every(Number.isFinite)) return;
    this.busy = true;
    for (const view of this.shown) {
      const place = view.mm2frac(mm, 0, true); // true: along the scan's own, maybe oblique, axes
      view.scene.crosshairPos = Array.from(place, (share) => Math.min(1, Math.max(0, share)));
      view.drawScene();
    }
    this.busy = false;
    this.tell(mm);
  }

  moved(from) {
    if (this.busy) return;
    this.setCrosshair(millimetres(this.views[from], this.views[from].scene.crosshairPos));
    const pan = [...this.views[from].scene.pan2Dxyzmm];
    for (const view of this.shown) if (view !== this.views[from]) view.setPan2Dxyzmm(pan);
  }

  windowed(from, volume) {
    if (this.busy || volume !== this.views[from].volumes[0]) return;
    this.setWindow(volume.cal_min, volume.cal_max);
  }

  setWindow(low, high) {
    if (!(high > low)) return;
    this.busy = true;
    for (const view of this.shown) {
      view.volumes[0].cal_min = low;
      view.volumes[0].cal_max = high;
      view.updateGLVolume();
    }
    this.busy = false;
    this.onWindow(low, high);
  }

  get window() {
    const { cal_min, cal_max } = this.views[0].volumes[0];
    return [cal_min, cal_max];
  }

  zoomBy(factor) {
    for (const view of this.shown) {
      const pan = [...view.scene.pan2Dxyzmm];
      const zoom = Math.min(MOST_ZOOM, Math.max(0.25, pan[3] * factor));
      const mm = view.frac2mm(view.scene.crosshairPos); // NiiVue pans along straight axes
      for (let i = 0; i < 3; i++) pan[i] += (pan[3] - zoom) * mm[i]; // the crosshair stays where it is
      pan[3] = zoom;
      view.setPan2Dxyzmm(pan);
    }
  }

  smooth(on) {
    for (const view of this.shown) view.setInterpolation(!on);
  }

  async addSpread(url, low, high) {
    const view = this.views[1];
    await view.addVolumeFromUrl({ url, name: "uncertainty.nii", colormap: "warm", opacity: 0, cal_min: low, cal_max: high });
    this.spread = view.volumes.length - 1;
    this.tell(this.crosshair);
  }

  setSpread(opacity) {
    if (this.spread !== null) this.views[1].setOpacity(this.spread, opacity);
  }

  key(event) {
    if (event.key === "Tab") return;
    event.stopPropagation();
    const steps = {
      ArrowLeft: [1, 0, 0], // the patient's right is on the left
      ArrowRight: [-1, 0, 0],
      ArrowUp: [0, 0, 1],
      ArrowDown: [0, 0, -1],
      PageUp: [0, 1, 0],
      PageDown: [0, -1, 0],
    };
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.zoomBy(1.25);
    else if (event.key === "-") this.zoomBy(0.8);
    else if (event.key === "0") this.centre();
    else if (step) this.setCrosshair(this.crosshair.map((mm, i) => mm + step[i]));
    else return;
    event.preventDefault();
  }

  // Two fingers zoom; NiiVue would change the slice.
  pinch(event) {
    const [one, two] = event.touches;
    if (!two) {
      if (this.apart) event.stopPropagation(); // the second finger was just lifted
      if (event.touches.length === 0) this.apart = null;
      return;
    }
    event.stopPropagation();
    event.preventDefault();
    const apart = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY) || 1;
    if (this.apart && event.type === "touchmove") this.zoomBy(apart / this.apart);
    this.apart = apart;
  }

  // The value (stored, times slope, plus intercept) of the voxel the crosshair is in.
  tell(mm) {
    const values = this.shown.map((view) => valueAt(view.volumes[0], mm));
    const spread = this.spread === null ? null : valueAt(this.views[1].volumes[this.spread], mm);
    this.onMove(mm, values, spread);
  }
}

function millimetres(view, place) {
  return Array.from(view.frac2mm(place, 0, true)).slice(0, 3);
}

function valueAt(volume, mm) {
  const place = volume.mm2vox(mm);
  const size = volume.dimsRAS.slice(1, 4);
  if ([...place].some((n, axis) => n < 0 || n >= size[axis])) return null;
  return volume.getValue(...place, 0);
}
