/** The menu of languages: the page comes back as it is, with what its address has after `#`. */
for (const menu of document.querySelectorAll(".language-menu")) {
  menu.querySelector("form").addEventListener("submit", ({ target }) => {
    target.elements.next.value = location.pathname + location.search + location.hash;
  });
  menu.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
  });
}
