// Checks every link of the built site: to a page or file that is there, and to an anchor that the page has. Each page
// must be reachable from the home page. What leaves the site is counted, not opened.
//
//     node links.mjs [FOLDER]
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'

const folder = process.argv[2] ?? 'dist'

const unescaped = (text) =>
  text.replace(/&(amp|quot|#39|lt|gt);/g, (_, name) => ({ amp: '&', quot: '"', '#39': "'", lt: '<', gt: '>' })[name])

/** Reads a page: its anchors, and where it leads. */
function read(name) {
  const html = readFileSync(join(folder, name), 'utf8').replace(/<script[\s\S]*?<\/script>/g, '')
  const all = (expression) => [...html.matchAll(expression)].map((m) => unescaped(m[1]))
  return {
    name,
    anchors: new Set(all(/\sid="([^"]*)"/g)),
    links: all(/<(?:a|img|source|link)\s[^>]*?(?:href|src)="([^"]*)"/g),
  }
}

const pages = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.html'))
    .map((name) => [name, read(name)]),
)
const failures = []
const reached = new Set(['index.html', '404.html'])
let checked = 0
let external = 0

/** Checks one link of a page. */
function check(page, link) {
  if (/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(link)) {
    external++
    return
  }
  checked++
  const [path, anchor = ''] = link.split('#')
  let target = path === '' ? page.name : posix.join('/', decodeURIComponent(path)).slice(1)
  if (target === '' || target.endsWith('/')) target += 'index.html'
  if (!existsSync(join(folder, target)) || !statSync(join(folder, target)).isFile()) {
    failures.push(`${page.name} links to ${link}, which is not there`)
  } else if (anchor !== '' && !pages.get(target)?.anchors.has(decodeURIComponent(anchor))) {
    failures.push(`${page.name} links to ${link}, and ${target} has no such anchor`)
  }
  if (target !== page.name) reached.add(target)
}

for (const page of pages.values()) page.links.forEach((link) => check(page, link))
for (const name of pages.keys()) {
  if (!reached.has(name)) failures.push(`${name} is linked from nowhere`)
}
if (pages.size < 20 || checked < 500) failures.push(`only ${pages.size} pages and ${checked} links were found`)

console.log(`${pages.size} pages, ${checked} links within the site checked, ${external} links to other sites not opened`)
failures.forEach((failure) => console.error(failure))
process.exitCode = failures.length > 0 ? 1 : 0
