// A few words for what is done to the document again and again.

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// Small pictures are shown with sharp pixels.
export function image(src, alt) {
  const made = element("img", { alt, draggable: false });
  made.addEventListener("load", () => {
    made.classList.toggle("tiny", Math.max(made.naturalWidth, made.naturalHeight) <= 64);
  });
  made.src = src;
  return made;
}

export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
export const count = (n) => n.toLocaleString("en");

export async function getJSON(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}
