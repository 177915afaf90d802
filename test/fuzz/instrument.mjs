// Compiles the library's TypeScript with a counter in every branch, so that libFuzzer sees which ones an input takes.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const COUNTERS = '__counters';

/** Counts the entry of functions, branches, loops, cases, and both sides of conditional and short-circuit operators. */
function counting(places) {
  const { factory } = ts;
  const next = () =>
    factory.createPostfixIncrement(
      factory.createElementAccessExpression(factory.createIdentifier(COUNTERS), places.count++),
    );
  const counted = (expression) =>
    factory.createParenthesizedExpression(factory.createCommaListExpression([next(), expression]));
  const block = (statement) =>
    ts.isBlock(statement)
      ? factory.updateBlock(statement, [factory.createExpressionStatement(next()), ...statement.statements])
      : factory.createBlock([factory.createExpressionStatement(next()), statement]);
  const SHORT_CIRCUIT = [
    ts.SyntaxKind.AmpersandAmpersandToken,
    ts.SyntaxKind.BarBarToken,
    ts.SyntaxKind.QuestionQuestionToken,
  ];
  return (context) => (file) => {
    const visit = (node) => {
      const seen = ts.visitEachChild(node, visit, context);
      if (ts.isIfStatement(seen)) {
        const otherwise = block(seen.elseStatement ?? factory.createBlock([]));
        return factory.updateIfStatement(seen, seen.expression, block(seen.thenStatement), otherwise);
      }
      if (ts.isForStatement(seen)) {
        const { initializer, condition, incrementor } = seen;
        return factory.updateForStatement(seen, initializer, condition, incrementor, block(seen.statement));
      }
      if (ts.isForOfStatement(seen)) {
        const { awaitModifier, initializer, expression } = seen;
        return factory.updateForOfStatement(seen, awaitModifier, initializer, expression, block(seen.statement));
      }
      if (ts.isWhileStatement(seen)) return factory.updateWhileStatement(seen, seen.expression, block(seen.statement));
      if (ts.isConditionalExpression(seen)) {
        const { condition, questionToken, whenTrue, colonToken, whenFalse } = seen;
        const [yes, no] = [counted(whenTrue), counted(whenFalse)];
        return factory.updateConditionalExpression(seen, condition, questionToken, yes, colonToken, no);
      }
      if (ts.isBinaryExpression(seen) && SHORT_CIRCUIT.includes(seen.operatorToken.kind)) {
        return factory.updateBinaryExpression(seen, seen.left, seen.operatorToken, counted(seen.right));
      }
      if (ts.isCaseClause(seen) || ts.isDefaultClause(seen)) {
        const statements = [factory.createExpressionStatement(next()), ...seen.statements];
        return ts.isCaseClause(seen)
          ? factory.updateCaseClause(seen, seen.expression, statements)
          : factory.updateDefaultClause(seen, statements);
      }
      if (ts.isCatchClause(seen)) {
        return factory.updateCatchClause(seen, seen.variableDeclaration, block(seen.block));
      }
      if (ts.isFunctionDeclaration(seen) && seen.body) {
        const { modifiers, asteriskToken, name, typeParameters, parameters, type, body } = seen;
        const all = [modifiers, asteriskToken, name, typeParameters, parameters, type, block(body)];
        return factory.updateFunctionDeclaration(seen, ...all);
      }
      if (ts.isArrowFunction(seen)) {
        const { modifiers, typeParameters, parameters, type, equalsGreaterThanToken, body } = seen;
        const inside = ts.isBlock(body) ? block(body) : counted(body);
        const all = [modifiers, typeParameters, parameters, type, equalsGreaterThanToken, inside];
        return factory.updateArrowFunction(seen, ...all);
      }
      return seen;
    };
    return ts.visitNode(file, visit);
  };
}

/**
 * Compiles every .ts file of `from` to .js in `to`; those whose path `counts` accepts get counters, which they expect
 * in a global Uint8Array `__counters`. Returns how many there are.
 */
export function instrument(from, to, counts) {
  const places = { count: 0 };
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name).slice(from.length + 1);
    if (!entry.isFile() || !path.endsWith('.ts') || path.endsWith('.d.ts')) continue;
    const { outputText } = ts.transpileModule(readFileSync(join(from, path), 'utf8'), {
      fileName: path,
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
      transformers: counts(path) ? { before: [counting(places)] } : {},
    });
    const target = join(to, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
  writeFileSync(join(to, 'package.json'), '{ "type": "module" }\n');
  return places.count;
}
