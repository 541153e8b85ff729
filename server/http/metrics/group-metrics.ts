import { AggregatorRegistry, type Registry } from 'prom-client';
import { z } from 'zod';

/** One registry's figures in prom-client's form, on their way from one process to another. */
export const figuresSchema = z.array(
  z.object({
    name: z.string(),
    help: z.string(),
    type: z.string(),
    aggregator: z.string(),
    values: z.array(
      z.object({
        // Also NaN, for what was not measured yet.
        value: z.custom<number>((value) => typeof value === 'number'),
        labels: z.record(z.string(), z.union([z.string(), z.number()])),
        /** Of a histogram's parts. */
        metricName: z.string().exactOptional(),
      }),
    ),
  }),
);
export type Figures = z.infer<typeof figuresSchema>;

/** All figures of a registry. */
export async function figuresOf(registry: Registry): Promise<Figures> {
  return figuresSchema.parse(await registry.getMetricsAsJSON());
}

/** A stall of one worker must not be hidden by the others. */
const isLag = (name: string): boolean => /^nodejs_eventloop_lag_(?:p\d+_)?seconds$/.test(name);

/**
 * The figures of several processes as one text: each metric by its own aggregator (default: the sum), so that common
 * values appear once and each process' own are added up.
 */
export function mergeFigures(all: readonly Figures[]): Promise<string> {
  const figures = all.map((metrics) =>
    metrics.map((metric) => (isLag(metric.name) ? { ...metric, aggregator: 'max' } : metric)),
  );
  return AggregatorRegistry.aggregate(figures).metrics();
}
