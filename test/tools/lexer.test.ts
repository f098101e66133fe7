import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentsOf, tokenize } from '../../tools/source/lexer.js';

const texts = (source: string): readonly string[] => tokenize(source).map((token) => token.text);
const kinds = (source: string): readonly string[] => tokenize(source).map((token) => token.kind);

test('lexer: comments and shebang leave nothing, lines are counted', () => {
  const tokens = tokenize('#!/usr/bin/env node\n// one\n/* two\nthree */ name');
  assert.deepEqual(
    tokens.map((token) => [token.text, token.line]),
    [['name', 4]],
  );
});

test('lexer: escapes in strings', () => {
  assert.deepEqual(texts(String.raw`f('it\'s', "a\nb")`), ['f', '(', "it's", ',', 'a\nb', ')']);
});

test('lexer: a slash starts a regular expression or divides, by what is before it', () => {
  assert.deepEqual(kinds("x = /['/]/g; y"), ['name', 'punctuation', 'regex', 'punctuation', 'name']);
  assert.deepEqual(kinds('return /"/'), ['name', 'regex']);
  assert.deepEqual(texts('(a) / b / c'), ['(', 'a', ')', '/', 'b', '/', 'c']);
});

test('lexer: templates with substitutions that hold braces, strings and templates', () => {
  const source = "`a ${f({ x: '}' })} b ${`inner ${y}`} c` z";
  const [template, after] = tokenize(source);
  assert.deepEqual(
    template!.parts.map((part) => part.value),
    ['a ', "f({ x: '}' })", ' b ', '`inner ${y}`', ' c'],
  );
  assert.equal(after!.text, 'z');
});

test('lexer: arguments are split at commas outside of brackets only', () => {
  const tokens = tokenize('f(a, { b: [1, 2], c }, (d, e) => g(h, i), )');
  assert.deepEqual(
    argumentsOf(tokens, 1).map((argument) => argument.map((token) => token.text).join(' ')),
    ['a', '{ b : [ 1 , 2 ] , c }', '( d , e ) => g ( h , i )'],
  );
});
