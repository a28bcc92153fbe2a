// Runs before the page is drawn, so that a chosen theme does not flash, nor the front's heading on another view.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
if (/^#?\/?(\?|$)/.test(location.hash)) document.documentElement.classList.add("front");
