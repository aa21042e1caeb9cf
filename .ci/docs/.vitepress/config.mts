import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { anchor, fences, links } from './markdown.mts'

const packages = (file: string) => fileURLToPath(new URL('../node_modules/' + file, import.meta.url))
const repository = fileURLToPath(new URL('../../..', import.meta.url))

// The pages at the root of the repository that docs/ links to. They are pages of the site, too.
const atRoot = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']

/** Returns the page of the site for a Markdown file, both relative to their roots. */
const pageOf = (file: string) => file.replace(/^docs\//, '')

/** Returns the file that a link in a file leads to, if that is a page of the site. */
const pageAt = (file: string, link: string) => {
  const target = relative(repository, join(dirname(file), link))
  const isPage = atRoot.includes(target) || /^docs\/[^/]+\.md$/.test(target)
  return isPage && existsSync(join(repository, target)) ? pageOf(target) : undefined
}

export default defineConfig({
  title: 'fullstory-export-mcp',
  description: 'Plans, schedules, tracks and fetches Fullstory segment exports, for an assistant and from a terminal.',
  srcDir: repository,
  srcExclude: ['!(docs)/**/*.md', 'docs/*/**'],
  rewrites: pageOf,
  outDir: 'dist',
  cacheDir: 'node_modules/.cache/vitepress',
  cleanUrls: false,
  lastUpdated: false,
  markdown: {
    anchor,
    config: (md) => {
      md.use(links, pageAt)
      md.use(fences)
    },
  },
  vite: {
    build: { chunkSizeWarningLimit: 2000 },
    // Pages lie outside this folder, and find the packages that they are built with here.
    resolve: {
      alias: [
        { find: /^vue\/server-renderer$/, replacement: packages('vue/server-renderer/index.mjs') },
        { find: /^vue$/, replacement: packages('vue/dist/vue.runtime.esm-bundler.js') },
      ],
    },
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    nav: [
      { text: 'Start', link: '/quickstart' },
      { text: 'Use', link: '/hosts' },
      { text: 'Operate', link: '/serving' },
      { text: 'Contribute', link: '/CONTRIBUTING' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'Overview', link: '/' },
          { text: 'Quickstart', link: '/quickstart' },
          { text: 'Probe your account', link: '/probe' },
          { text: 'Concepts', link: '/concepts' },
          { text: 'Questions', link: '/faq' },
        ],
      },
      {
        text: 'Use',
        items: [
          { text: 'Connect an assistant', link: '/hosts' },
          { text: 'Tools', link: '/tools' },
          { text: 'Tools, every field', link: '/tools-reference' },
          { text: 'Bulk exports', link: '/bulk-exports' },
          { text: 'Seeing an export', link: '/seeing' },
          { text: 'In a terminal', link: '/terminal' },
          { text: 'Syncs', link: '/syncs' },
          { text: 'Files', link: '/files' },
          { text: 'Parquet', link: '/parquet' },
          { text: 'Looking at the data', link: '/looking' },
          { text: 'Ask with SQL', link: '/query' },
          { text: 'Delta tables', link: '/delta' },
          { text: 'Load into a database', link: '/loading' },
          { text: 'Load statements', link: '/warehouses' },
          { text: 'Commands', link: '/commands' },
        ],
      },
      {
        text: 'Operate',
        items: [
          { text: 'Serve over HTTP', link: '/serving' },
          { text: 'The web page', link: '/web' },
          { text: 'Run it for a team', link: '/team' },
          { text: 'Image and Kubernetes', link: '/kubernetes' },
          { text: 'The audit log', link: '/audit' },
          { text: 'Security: threats', link: '/threats' },
          { text: 'Security: attacks', link: '/attacks' },
          { text: 'Troubleshooting', link: '/troubleshooting' },
          { text: 'Updates', link: '/updates' },
          { text: 'The sandbox', link: '/sandbox' },
        ],
      },
      {
        text: 'Contribute',
        items: [
          { text: 'Contributing', link: '/CONTRIBUTING' },
          { text: 'Architecture', link: '/architecture' },
          { text: 'States of a chunk', link: '/states' },
          { text: 'Clients that were run', link: '/clients' },
          { text: 'Changelog', link: '/CHANGELOG' },
        ],
      },
    ],
  },
})
