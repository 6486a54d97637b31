// @ts-check
// On a narrow page the navigation is longer than the page is wide: where one is has to be in sight.

const here = document.querySelector('nav [aria-current="page"]');
const list = here?.closest("nav");
if (here instanceof HTMLElement && list && list.scrollWidth > list.clientWidth) {
  list.scrollLeft = here.offsetLeft - (list.clientWidth - here.offsetWidth) / 2;
}
