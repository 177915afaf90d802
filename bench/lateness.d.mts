export declare const PERIOD: number;
export declare function lateness(
  work: (goesOn: () => boolean) => Promise<void>,
  seconds: number,
): Promise<Float64Array<ArrayBuffer>>;
export declare function percentile(sorted: Float64Array, share: number): number;
