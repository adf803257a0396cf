// Two scans in NiiVue, input and result: one crosshair, at the same millimetre in both, one zoom, one window.

const { Niivue, SHOW_RENDER, MULTIPLANAR_TYPE, DRAG_MODE } = window.niivue;
const OPTIONS = {
  backColor: [0, 0, 0, 1],
  crosshairColor: [1, 0.83, 0.29, 0.8],
  crosshairWidth: 0.4,
  crosshairWidthUnit: "percent",
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

export class Scans {
  // `onMove`: told the crosshair in mm and the values there; `onWindow`: told the values shown as black and white.
  constructor(canvases, onMove, onWindow) {
    this.canvases = canvases;
    this.onMove = onMove;
    this.onWindow = onWindow;
    this.views = [];
    this.busy = false;
    matchMedia("(min-width: 1001px)").addEventListener("change", () => this.arrange());
  }

  async begin(url) {
    await this.load(0, url);
    this.centre();
  }

  async add(url) {
    const { scene, volumes } = this.views[0];
    const { cal_min, cal_max } = volumes[0];
    const mm = this.views[0].frac2mm(scene.crosshairPos);
    await this.load(1, url);
    this.setWindow(cal_min, cal_max);
    this.setCrosshair(Array.from(mm).slice(0, 3));
  }

  async load(index, url) {
    if (!this.views[index]) {
      const view = new Niivue({ ...OPTIONS });
      await view.attachToCanvas(this.canvases[index], false);
      view.setSliceType(view.sliceTypeMultiplanar);
      view.onLocationChange = (told) => this.moved(index, told.mm);
      view.onIntensityChange = (volume) => this.windowed(index, volume);
      this.canvases[index].addEventListener("wheel", () => this.copyPan(index));
      this.canvases[index].addEventListener("keydown", (event) => this.key(event));
      this.views[index] = view;
    }
    this.spread = index === 1 ? null : this.spread;
    await this.views[index].loadVolumes([{ url, name: "view.nii" }]);
    this.arrange();
  }

  // One scan: its views in a row. Two: beside each other, each in a square, where there is the width for it.
  arrange() {
    const square = this.shown.length > 1 && matchMedia("(min-width: 1001px)").matches;
    for (const view of this.shown) view.setMultiplanarLayout(square ? MULTIPLANAR_TYPE.GRID : MULTIPLANAR_TYPE.ROW);
  }

  centre() {
    const view = this.views[0];
    for (const one of this.views) one.setPan2Dxyzmm([0, 0, 0, 1]);
    this.setCrosshair(Array.from(view.frac2mm([0.5, 0.5, 0.5])).slice(0, 3));
  }

  get shown() {
    return this.views.filter((view, i) => view.volumes.length && !this.canvases[i].closest("figure").hidden);
  }

  setCrosshair(mm) {
    if (!mm.every(Number.isFinite)) return;
    this.busy = true;
    for (const view of this.shown) {
      const place = view.mm2frac(mm);
      view.scene.crosshairPos = Array.from(place, (share) => Math.min(1, Math.max(0, share)));
      view.drawScene();
    }
    this.busy = false;
    this.tell(mm);
  }

  moved(from, mm) {
    if (this.busy) return;
    this.setCrosshair(Array.from(mm).slice(0, 3));
    this.copyPan(from);
  }

  copyPan(from) {
    const pan = [...this.views[from].scene.pan2Dxyzmm];
    this.shown.forEach((view) => {
      if (view !== this.views[from]) view.setPan2Dxyzmm(pan);
    });
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
      const mm = view.frac2mm(view.scene.crosshairPos);
      for (let i = 0; i < 3; i++) pan[i] += (pan[3] - zoom) * mm[i]; // the crosshair stays where it is
      pan[3] = zoom;
      view.setPan2Dxyzmm(pan);
    }
  }

  smooth(on) {
    for (const view of this.shown) view.setInterpolation(!on);
  }

  async addSpread(url, top) {
    const view = this.views[1];
    await view.addVolumeFromUrl({ url, name: "uncertainty.nii", colormap: "warm", opacity: 0, cal_min: top / 5, cal_max: top });
    this.spread = view.volumes.length - 1;
  }

  setSpread(opacity) {
    if (this.spread) this.views[1].setOpacity(this.spread, opacity);
  }

  key(event) {
    const steps = {
      ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1],
      PageUp: [0, 1, 0], PageDown: [0, -1, 0],
    };
    const step = steps[event.key];
    if (event.key === "+" || event.key === "=") this.zoomBy(1.25);
    else if (event.key === "-") this.zoomBy(0.8);
    else if (event.key === "0") this.centre();
    else if (step) this.setCrosshair(this.crosshair.map((mm, i) => mm + step[i]));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  get crosshair() {
    return Array.from(this.views[0].frac2mm(this.views[0].scene.crosshairPos)).slice(0, 3);
  }

  // The stored value (times slope, plus intercept) of the voxel the crosshair is in.
  tell(mm) {
    const values = this.shown.map((view) => {
      const volume = view.volumes[0];
      const [i, j, k] = volume.mm2vox(mm);
      const last = [volume.dimsRAS[1], volume.dimsRAS[2], volume.dimsRAS[3]];
      if ([i, j, k].some((n, axis) => n < 0 || n >= last[axis])) return null;
      return volume.getValue(i, j, k, 0);
    });
    this.onMove(mm, values);
  }
}
