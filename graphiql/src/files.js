import { createStore } from "./store.js";

/** The files of the last answer, which the page offers to save. */
export const offered = createStore([]);

/** Every File object ({name, mediaType, contentBase64}) at any depth of an answer. */
export function filesIn(value) {
  if (value === null || typeof value !== "object") return [];
  if (value.name && value.mediaType && typeof value.contentBase64 === "string") return [value];
  return Object.values(value).flatMap(filesIn);
}

/** Saves a file without another request: the bytes are already in the answer. */
export function save({ name, mediaType, contentBase64 }) {
  const bytes = Uint8Array.from(atob(contentBase64), (char) => char.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: mediaType }));
  link.download = name;
  link.click();
  // Not at once: some browsers read the address only after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
