// Mouse, fingers and keys on a panel: they move, zoom and window all panels together.

const GRAB = 14; // CSS pixels around the divider that take hold of it

const STILL = 4; // CSS pixels that a tap may wander

/** @param {import("./panels.js").Panels} panels @param {any} panel one of them */
export function listen(panels, panel) {
  const { canvas } = panel;
  const touches = new Map();
  /** @type {"window" | "divider" | "move" | null} */
  let drag = null;
  let moved = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const point = (at) => panels.point(at, panel);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const at = place(event);
    touches.set(event.pointerId, at);
    const onDivider = panels.divider !== null && Math.abs(at.x - panels.divider * panels.size.width) < GRAB;
    point(at);
    moved = 0;
    drag = event.button === 2 || event.shiftKey ? "window" : onDivider ? "divider" : "move";
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = touches.get(event.pointerId);
    if (before) {
      const others = [...touches].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
      touches.set(event.pointerId, at);
      moved += Math.hypot(at.x - before.x, at.y - before.y);
      if (others.length) {
        const apart = (a) => Math.hypot(a.x - others[0].x, a.y - others[0].y) || 1;
        panels.zoomBy(apart(at) / apart(before), { x: (at.x + others[0].x) / 2, y: (at.y + others[0].y) / 2 }, panel);
        panels.moveBy((at.x - before.x) / 2, (at.y - before.y) / 2, panel);
      } else if (drag === "window") panels.dragWindow(at.x - before.x, at.y - before.y);
      else if (drag === "divider") panels.setDivider(at.x / panels.size.width);
      else if (moved > STILL) panels.moveBy(at.x - before.x, at.y - before.y, panel);
    }
    point(at);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(end, (event) => {
      touches.delete(event.pointerId);
      if (end === "pointerup" && drag === "move" && moved <= STILL) panels.tap(place(event), panel);
    });
  }
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return; // a finger that is lifted leaves its value to be read
    panels.pointer = null;
    panels.redraw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => panels.fit());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    panels.wheel(event, place(event), panel);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const action = panels.keys(panel)[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
    panels.keyed(panel);
  });
}
