import type MarkdownIt from 'markdown-it'

/** Anchors of headings as forges make them, so that a link to one works there and here. */
export const anchor = {
  slugify: (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'),
}

const isExternal = /^([a-z][a-z0-9+.-]*:|\/\/)/i

/**
 * Makes links between Markdown files, which are relative to the file as it lies in the repository, links between pages.
 * A link to a file that is not a page fails the build: the site has no place for it.
 */
export function links(md: MarkdownIt, pageAt: (file: string, link: string) => string | undefined) {
  md.core.ruler.push('links-between-files', (state) => {
    const file: string = state.env.realPath ?? state.env.path
    for (const token of state.tokens.flatMap((t) => t.children ?? [])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null
      if (!href || href.startsWith('#') || isExternal.test(href)) continue
      const [, path, rest] = /^([^#?]*)(.*)$/.exec(href)!
      const page = path.endsWith('.svg') ? undefined : pageAt(file, decodeURIComponent(path))
      if (page !== undefined) {
        token.attrSet('href', '/' + page + rest)
      } else if (!path.endsWith('.svg')) {
        throw new Error(`${file} links to ${href}, which is not a page of the site`)
      }
    }
  })
}

/** Leaves diagrams for the theme to draw. */
export function fences(md: MarkdownIt) {
  const fence = md.renderer.rules.fence!
  md.renderer.rules.fence = (tokens, index, options, env, self) => {
    const token = tokens[index]
    if (token.info.trim() !== 'mermaid') return fence(tokens, index, options, env, self)
    return `<pre class="mermaid" v-pre>${md.utils.escapeHtml(token.content)}</pre>\n`
  }
}
