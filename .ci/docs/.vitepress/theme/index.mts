import { nextTick, onMounted, watch } from 'vue'
import { useData, useRoute } from 'vitepress'
import DefaultTheme from 'vitepress/theme'
import mermaid from 'mermaid/dist/mermaid.min.js?url'
import './site.css'

/** Loads the library that draws diagrams, once. It is a file of its own, so that only pages with a diagram load it. */
let loaded: Promise<typeof import('mermaid').default> | undefined
const load = () => (loaded ??= new Promise((resolve, reject) => {
  const script = document.createElement('script')
  script.src = mermaid
  script.onload = () => resolve((window as any).mermaid)
  script.onerror = reject
  document.head.append(script)
}))

/** Draws the diagrams of a page, in the colours that it has. */
async function draw(dark: boolean) {
  const diagrams = [...document.querySelectorAll<HTMLElement>('pre.mermaid')]
  if (diagrams.length === 0) return
  const library = await load()
  for (const diagram of diagrams) {
    diagram.dataset.text ??= diagram.textContent ?? ''
    diagram.textContent = diagram.dataset.text
    delete diagram.dataset.processed
  }
  library.initialize({ startOnLoad: false, theme: dark ? 'dark' : 'neutral', deterministicIds: true })
  await library.run({ nodes: diagrams })
  for (const diagram of diagrams) diagram.scrollLeft = (diagram.scrollWidth - diagram.clientWidth) / 2
}

export default {
  extends: DefaultTheme,
  setup() {
    const { isDark } = useData()
    const route = useRoute()
    let drawn = Promise.resolve() // one drawing at a time
    const redraw = () => nextTick(() => (drawn = drawn.then(() => draw(isDark.value)).catch(console.error)))
    onMounted(redraw)
    watch([() => route.path, isDark], redraw)
  },
}
