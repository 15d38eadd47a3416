// A formula or a table that is wider than the page scrolls in a box of its own; this lets the keyboard reach it.
function reachable() {
  for (const box of document.querySelectorAll("mjx-container[display='true'], .scorecard, .verdict-box")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  reachable();
  addEventListener("resize", reachable);
});
