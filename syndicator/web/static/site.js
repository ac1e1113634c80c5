// Copy buttons, and parts of a page that wait for an answer. Without this file, or without a clipboard, every link still leads
// to what it would copy or show.
//
// data-most-bytes      a file field says at once that a file is too large, before it has travelled
// data-watch           this part, by its id, is taken anew from its page every few seconds until it waits no more
// data-copy            the text itself
// data-copy-from       an address whose text is fetched and copied; data-copy-as="text/html" copies it as formatted text
"use strict";

const SHOWN_FOR_MS = 2500;

function flavours(text, as) {
  // The promise is handed to the clipboard at once, since some browsers forget the click while a fetch is under way.
  const blob = (type) => text.then((words) => new Blob([words], { type }));
  return new ClipboardItem(as === "text/html" ? { "text/html": blob("text/html"), "text/plain": blob("text/plain") } : { "text/plain": blob("text/plain") });
}

async function fetched(address) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.text();
}

function say(control, words) {
  const status = document.getElementById("copy-status");
  const label = control.querySelector("[data-label]") ?? control;
  const before = (control.dataset.before ??= label.textContent);
  label.textContent = words;
  if (status) status.textContent = words;
  clearTimeout(Number(control.dataset.timer));
  control.dataset.timer = String(setTimeout(() => { label.textContent = before; }, SHOWN_FOR_MS));
}

async function copy(event) {
  const control = event.currentTarget;
  event.preventDefault();
  const { copy: text, copyFrom, copyAs } = control.dataset;
  try {
    await navigator.clipboard.write([flavours(copyFrom ? fetched(copyFrom) : Promise.resolve(text), copyAs)]);
    say(control, "Copied");
  } catch {
    if (control.href) location.assign(control.href);
    else say(control, "Not copied");
  }
}

function offerCopies(part) {
  if (!navigator.clipboard?.write) return;
  for (const control of part.querySelectorAll("[data-copy], [data-copy-from]")) {
    control.hidden = false;
    control.addEventListener("click", copy);
  }
}

offerCopies(document);

const LOOK_AGAIN_MS = 2000;
const LOOKS = 60;

async function watch(part, looks) {
  if (looks === 0) return;
  await new Promise((done) => { setTimeout(done, LOOK_AGAIN_MS); });
  let fresh = null;
  try {
    fresh = new DOMParser().parseFromString(await fetched(location.pathname), "text/html").getElementById(part.id);
  } catch { /* the next look may do better */ }
  if (!fresh || "watch" in fresh.dataset) return void watch(part, looks - 1);
  part.replaceChildren(...fresh.childNodes);
  part.className = fresh.className;
  offerCopies(part);
}

for (const part of document.querySelectorAll("[data-watch]")) watch(part, LOOKS);

function refuseLarge(event) {
  const field = event.currentTarget;
  const most = Number(field.dataset.mostBytes);
  const note = field.parentElement.querySelector("[data-too-large]") ?? document.createElement("p");
  const large = [...field.files].find((file) => file.size > most);
  note.className = "error";
  note.dataset.tooLarge = "";
  note.setAttribute("role", "alert");
  note.textContent = large ? `${large.name} is larger than ${most / 1e6} MB. Please choose a smaller file.` : "";
  if (large) field.value = "";
  field.after(note);
}

for (const field of document.querySelectorAll("[data-most-bytes]")) field.addEventListener("change", refuseLarge);
