// Opened from file://, a browser refuses to fetch other pages: show search results without the
// excerpts that would need it, so that the search still finds every page and logs no error.
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
