/* Applies a remembered theme before the first paint; a classic script in the head, because modules run too late for that. */
(() => {
  const theme = localStorage.getItem("geostream-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
})();
