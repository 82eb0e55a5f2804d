#include "core/foundation/closest_match.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace seedbed {

namespace {

/// Longer words are not compared: the cost grows with the length.
constexpr std::size_t longest_word = 32;
constexpr std::size_t most_edits = 2;

/// The number of characters to add, remove or replace to turn \p a into \p b (Levenshtein distance).
std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto const replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

} // namespace

std::optional<std::string> closest_match(std::string_view word, std::vector<std::string> const& known) {
    if (word.size() > longest_word || std::ranges::find(known, word) != known.end()) {
        return std::nullopt;
    }
    for (std::size_t distance = 1; distance <= most_edits; ++distance) {
        for (auto const& candidate : known) {
            if (candidate.size() > 2 * distance && edits(word, candidate) == distance) {
                return candidate;
            }
        }
    }
    return std::nullopt;
}

} // namespace seedbed
