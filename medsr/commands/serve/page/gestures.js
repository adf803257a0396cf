// Mouse, fingers and keys on a panel: they move, zoom and window all panels together.

const GRAB = 14; // CSS pixels around the divider that take hold of it

/** @param {import("./panels.js").Panels} panels @param {{ canvas: HTMLCanvasElement }} panel */
export function listen(panels, { canvas }) {
  const touches = new Map();
  /** @type {"window" | "divider" | "move" | null} */
  let drag = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const point = ({ x, y }) => {
    const { width, height } = panels.size;
    panels.pointer = { x: panels.view.x + (x - width / 2) / panels.view.zoom, y: panels.view.y + (y - height / 2) / panels.view.zoom };
    panels.redraw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const at = place(event);
    touches.set(event.pointerId, at);
    const onDivider = panels.divider !== null && Math.abs(at.x - panels.divider * panels.size.width) < GRAB;
    point(at);
    drag = event.button === 2 || event.shiftKey ? "window" : onDivider ? "divider" : "move";
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = touches.get(event.pointerId);
    if (before) {
      const others = [...touches].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
      touches.set(event.pointerId, at);
      if (others.length) {
        const apart = (a) => Math.hypot(a.x - others[0].x, a.y - others[0].y) || 1;
        panels.zoomBy(apart(at) / apart(before), { x: (at.x + others[0].x) / 2, y: (at.y + others[0].y) / 2 });
        panels.moveBy((at.x - before.x) / 2, (at.y - before.y) / 2);
      } else if (drag === "window") panels.dragWindow(at.x - before.x, at.y - before.y);
      else if (drag === "divider") panels.setDivider(at.x / panels.size.width);
      else panels.moveBy(at.x - before.x, at.y - before.y);
    }
    point(at);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) canvas.addEventListener(end, (event) => touches.delete(event.pointerId));
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return; // a finger that is lifted leaves its value to be read
    panels.pointer = null;
    panels.redraw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => panels.fit());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    panels.zoomBy(2 ** (-Math.sign(event.deltaY) / 4), place(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = Math.min(panels.size.width, panels.size.height) / 10;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => panels.moveBy(step, 0),
      ArrowRight: () => panels.moveBy(-step, 0),
      ArrowUp: () => panels.moveBy(0, step),
      ArrowDown: () => panels.moveBy(0, -step),
      "+": () => panels.zoomBy(1.25),
      "=": () => panels.zoomBy(1.25),
      "-": () => panels.zoomBy(0.8),
      0: () => panels.fit(),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[event.key]();
    panels.pointer = { x: panels.view.x, y: panels.view.y }; // the value in the middle, for those without a pointer
  });
}
