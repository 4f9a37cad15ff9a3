import { offered, save } from "./files.js";
import { useStore } from "./store.js";

/** A button for each file in the last answer; nothing when there is none. */
export function Downloads() {
  const files = useStore(offered);
  if (files.length === 0) return null;
  return (
    <section className="bar downloads" aria-label="Files in the last answer">
      {files.map((file, index) => (
        <button key={index} type="button" onClick={() => save(file)}>
          Download {file.name}
        </button>
      ))}
      <span className="status">A secret is in no later answer: save it now.</span>
    </section>
  );
}
