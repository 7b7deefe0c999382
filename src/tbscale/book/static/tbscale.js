// Opened from file://, a browser refuses to fetch other pages: show search results without the
// excerpts that would need it, so that the search still finds every page and logs no error.
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// The form of the page "Will it fit?": computes from the numbers that the page carries.
function askWhetherItFits(form, data) {
  const gib = 1024 ** 3;
  const words = (bytes) => `${(bytes / gib).toPrecision(3)} GiB`;
  const next = (side) => data.sides.findIndex((one) => one >= side);
  const answer = () => {
    const [height, width, memory] = ["height", "width", "memory"].map((n) => Number(form[n].value));
    const output = form.querySelector("output");
    const [y, x] = [next(height), next(width)];
    if (!(height >= 1 && width >= 1 && memory > 0)) {
      output.textContent = "Give a height, a width and a memory above zero.";
      return;
    }
    const lines = [];
    if (data.stock) {
      const needed = data.stock[0] + data.stock[1] * height * width;
      const fits = needed <= memory * gib ? "fits" : "does not fit";
      lines.push(`Stock Cellpose: ${fits}, about ${words(needed)}.`);
    }
    if (y < 0 || x < 0) {
      lines.push("tbscale: larger than this form knows; ask tbscale segment --dry-run.");
    } else {
      const [usual, smallest] = [data.usual[y][x], data.smallest[y][x]];
      if (usual <= memory * gib) lines.push(`tbscale: fits, at most ${words(usual)}.`);
      else if (smallest <= memory * gib)
        lines.push(`tbscale: fits with smaller blocks, at most ${words(smallest)}.`);
      else lines.push(`tbscale: does not fit; its smallest blocks need up to ${words(smallest)}.`);
    }
    output.textContent = lines.join(" ");
  };
  form.addEventListener("input", answer);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  answer();
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("tb-fit");
  if (form) askWhetherItFits(form, JSON.parse(document.getElementById("tb-fit-data").textContent));
});
