import { describe, expect, it, test } from 'vitest'
import { moduleConformance } from '../../src/testing/module-conformance.ts'
import { brokenModules, goodModule, lockerFixture } from './broken-modules.ts'

describe('moduleConformance passes a good module:', () => {
  for (const { name, run } of moduleConformance(lockerFixture(goodModule))) test(name, run)
})

describe('moduleConformance fails a module that', () => {
  for (const { fault, make, caughtBy, patience, spoilsTheRest } of brokenModules)
    it.concurrent(fault, { timeout: 60_000 }, async () => {
      const failed: string[] = []
      for (const { name, run } of moduleConformance(lockerFixture(make, patience)))
        try {
          await run()
        } catch {
          failed.push(name)
        }
      expect(spoilsTheRest === true ? failed.filter((name) => caughtBy.includes(name)) : failed).toEqual(caughtBy)
    })

  it('has a fault for every check', () => {
    const caught = new Set(brokenModules.flatMap(({ caughtBy }) => caughtBy))
    expect(moduleConformance(lockerFixture(goodModule)).filter(({ name }) => !caught.has(name))).toEqual([])
  })
})
