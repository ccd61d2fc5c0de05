import { invalid } from './invalid.ts'

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

/** @throws ColmenaError ERR_INVALID_ARGUMENT that names what is wrong, and where. */
export async function validate<Value>(
  type: string,
  schema: StandardSchema<Value> | undefined,
  value: unknown,
): Promise<Value> {
  if (schema === undefined) return value as Value
  return toValue(type, await schema['~standard'].validate(value))
}

/** The same at once. */
export function validateNow<Value>(
  type: string,
  schema: StandardSchema<Value> | undefined,
  value: unknown,
): Value {
  if (schema === undefined) return value as Value
  const validated = schema['~standard'].validate(value)
  if (validated instanceof Promise) {
    validated.catch(() => {})
    throw invalid(`the schema of '${type}' takes its time, and a statement can't wait: use enqueue`)
  }
  return toValue(type, validated)
}

function toValue<Value>(type: string, validated: Validated<Value>): Value {
  if (validated.issues === undefined) return validated.value
  const issues = validated.issues.map(({ message, path = [] }) => {
    const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
    return keys.length === 0 ? message : `${keys.map(String).join('.')}: ${message}`
  })
  throw invalid(`the arguments of '${type}' are not what its schema takes: ${issues.join('; ')}`)
}
