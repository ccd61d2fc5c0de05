import { ColmenaError } from '../index.ts'
import { invalid, show } from './invalid.ts'

/** What zod, valibot, arktype and others have in common: https://standardschema.dev */
export interface StandardSchema<Value> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Validated<Value> | Promise<Validated<Value>>
  }
}

export type Validated<Value> =
  | { readonly value: Value; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] }

interface Issue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkSchema(type: string, schema: unknown): void {
  if (schema === undefined) return
  const standard = (schema as StandardSchema<unknown> | null)?.['~standard']
  if (typeof standard?.validate === 'function') return
  throw invalid(`the schema of '${type}' is a Standard Schema, not ${show(schema)}`)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT that names what is wrong, and where. */
export async function validate<Value>(
  type: string,
  schema: StandardSchema<Value> | undefined,
  value: unknown,
): Promise<Value> {
  if (schema === undefined) return value as Value
  return toValue(type, await asked(type, async () => schema['~standard'].validate(value)))
}

/** A schema that throws refuses as well. */
async function asked<T>(type: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    throw failedSchema(type, cause)
  }
}

function failedSchema(type: string, cause: unknown): ColmenaError {
  const why = cause instanceof Error ? cause.message : show(cause)
  const message = `the schema of '${type}' failed: ${why}`
  return new ColmenaError('ERR_INVALID_ARGUMENT', message, { cause })
}

/** The same at once. */
export function validateNow<Value>(
  type: string,
  schema: StandardSchema<Value> | undefined,
  value: unknown,
): Value {
  if (schema === undefined) return value as Value
  let validated: ReturnType<(typeof schema)['~standard']['validate']>
  try {
    validated = schema['~standard'].validate(value)
  } catch (cause) {
    throw failedSchema(type, cause)
  }
  if (validated instanceof Promise) {
    validated.catch(() => {})
    throw invalid(`the schema of '${type}' takes its time, and a statement can't wait: use enqueue`)
  }
  return toValue(type, validated)
}

function toValue<Value>(type: string, validated: Validated<Value>): Value {
  if (typeof validated !== 'object' || validated === null) {
    throw invalid(`the schema of '${type}' answered ${show(validated)}`)
  }
  if (validated.issues === undefined) return validated.value
  const issues = validated.issues.map(({ message, path = [] }) => {
    const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
    return keys.length === 0 ? message : `${keys.map(String).join('.')}: ${message}`
  })
  throw invalid(`the arguments of '${type}' are not what its schema takes: ${issues.join('; ')}`)
}
