#include "health/lock_tree.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using observed::Session;

struct Graph {
    std::map<int, const Session *> sessions;
    std::map<int, std::vector<const Session *>> waiting_for; // blocker -> who waits for it

    explicit Graph(const std::vector<Session> &all)
    {
        for (const Session &session : all) {
            sessions[session.pid] = &session;
            const std::set<int64_t> blockers(session.blocked_by.begin(), session.blocked_by.end());
            for (const int64_t blocker : blockers)
                waiting_for[static_cast<int>(blocker)].push_back(&session);
        }
    }
    const Session *find(int pid) const
    {
        const auto found = sessions.find(pid);
        return found == sessions.end() ? nullptr : found->second;
    }
    bool waits(int pid) const
    {
        const Session *session = find(pid);
        return session && !session->blocked_by.empty();
    }
};

// Breadth first, so that each waiting session stands at its shortest distance from the root.
LockTree tree_below(const Graph &graph, int root, std::set<int> &reached)
{
    LockTree tree;
    tree.root = root;
    tree.session = graph.find(root);
    std::set<int> seen = {root};
    std::vector<std::pair<int, int>> level = {{root, 0}}; // process id, depth
    for (size_t i = 0; i < level.size(); ++i) {
        const auto [blocker, depth] = level[i];
        const auto found = graph.waiting_for.find(blocker);
        if (found == graph.waiting_for.end())
            continue;
        for (const Session *session : found->second)
            if (seen.insert(session->pid).second) {
                tree.waits.push_back({session, blocker, depth + 1});
                level.emplace_back(session->pid, depth + 1);
            }
    }
    reached.insert(seen.begin(), seen.end());
    return tree;
}

} // namespace

double LockTree::longest_seconds() const
{
    double longest = 0;
    for (const LockWait &wait : waits)
        longest = std::max(longest, wait.session->wait_seconds.value_or(0));
    return longest;
}

std::vector<LockTree> lock_trees(const std::vector<Session> &sessions)
{
    const Graph graph(sessions);
    std::vector<LockTree> trees;
    std::set<int> reached;
    for (const auto &[blocker, waiting] : graph.waiting_for)
        if (!graph.waits(blocker))
            trees.push_back(tree_below(graph, blocker, reached));
    for (const auto &[blocker, waiting] : graph.waiting_for) // circles
        if (!reached.contains(blocker))
            trees.push_back(tree_below(graph, blocker, reached));
    std::stable_sort(trees.begin(), trees.end(),
                     [](const LockTree &a, const LockTree &b) { return a.waits.size() > b.waits.size(); });
    return trees;
}

} // namespace opsrunbook::health
